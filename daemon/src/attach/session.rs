//! The life of one attachment: ask the peer, take a port, pump URBs, give the port back.
//!
//! A connection that is lost is no end: the port stays, its URBs wait, and the session goes on over the next
//! connection, unless the grace time is over before.

use std::{
    os::{fd::AsFd as _, unix::net::UnixStream as StdUnixStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use p2pusb_protocol::{ASKING_MAX, ControlMessage, EndReason, Ending, LanePosition, Pin, SessionId, Speed};
use tokio::{
    net::UnixStream,
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{
    named::{Named, Names},
    pump::{Pump, Stopped, Switch},
    virtual_host::{Port, VirtualHost},
};
use crate::{
    counters::Counters,
    engine::EngineHandle,
    error::{Error, Result},
    net::link::{Connected, Notice},
    peer::PeerId,
    policy::Presentable,
    stop::Stop,
};

/// How long the peer may take to open its device.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the kernel may take to enumerate the device. A slow link pays a round trip for each of some
/// twenty requests, and the kernel itself retries a device that does not answer for 5 s each.
const ENUMERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the drivers of a device may take to let go of it.
const LET_GO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the kernel may ask for a device that is gone.
const GONE_TIMEOUT: Duration = Duration::from_millis(200);
/// How long the kernel may take to free a port …
const PORT_RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// … which it does without telling anybody, so we look this often.
const PORT_RELEASE_INTERVAL: Duration = Duration::from_millis(5);
/// How long the peer may take to give its device back to its drivers.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// What is to be attached.
#[derive(Debug)]
pub(crate) struct Request {
    /// The attachment's number.
    pub(crate) id: u32,
    /// Whose device it is.
    pub(crate) peer: PeerId,
    /// What does not outlive the boot.
    pub(crate) runtime: PathBuf,
    /// The session's number, unique on the link.
    pub(crate) session: SessionId,
    /// Where it is attached.
    pub(crate) kernel: Arc<dyn VirtualHost>,
    /// The connection to the exporter …
    pub(crate) link: Connected,
    /// … and those that follow it.
    pub(crate) links: watch::Receiver<Option<Connected>>,
    /// How long the device stays without a connection.
    pub(crate) grace: Duration,
    /// The exporter's label, for people.
    pub(crate) peer_label: String,
    /// The device's id, as the exporter offers it.
    pub(crate) device: String,
    /// What to show where it asks for a PIN.
    pub(crate) pin: Option<Pin>,
    /// The device's name, for people.
    pub(crate) product: String,
    /// The device's speed, which decides the port.
    pub(crate) speed: Speed,
    /// What it may present to the kernel.
    pub(crate) presentable: Presentable,
    /// Ends it.
    pub(crate) stop: Stop,
    /// Hears when the kernel has configured the device and found its drivers.
    pub(crate) bound: Arc<Notify>,
    /// Counts.
    pub(crate) counters: Arc<Counters>,
}

/// Where an attached device appeared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which `vhci_hcd.N`.
    pub(crate) controller: u32,
    /// The port's number, as in vhci's status files.
    pub(crate) port: u32,
    /// The device's bus path here: a port has one, whatever is plugged into it.
    pub(crate) bus_path: String,
}

/// The connection that the session uses now, and what is heard of the session there.
struct Line {
    link: Connected,
    notices: mpsc::Receiver<Notice>,
}

/// Runs an attachment from the first word to the last; says why it ended, or why it never began.
pub(crate) async fn run(mut request: Request, engine: EngineHandle) -> Result<EndReason> {
    // Asked before the peer takes the device from its own drivers for nothing.
    if !request.kernel.has_free_port(request.speed)? {
        return Err(Error::NoFreePort(request.speed));
    }
    let pin = request.pin.take();
    let notices = request.link.attach(request.session, request.device.clone(), pin).await;
    let mut line = Line { link: request.link.clone(), notices };
    let result = match claim(&request, &mut line.notices).await {
        Ok(()) => attached(&request, &mut line, &engine).await,
        Err(error) => Err(error),
    };
    // A peer that has refused, or has ended the session, holds nothing of ours.
    let by_us = matches!(
        &result,
        Ok(Ended { by_peer: false, .. })
            | Err(Error::TimedOut(_)
                | Error::Cancelled(_)
                | Error::NoFreePort(_)
                | Error::DeviceNotAccepted { .. }
                | Error::Failed { .. })
    );
    let Line { link, mut notices } = line;
    if by_us {
        // Whoever asked for the detach may want to attach again at once: the peer's drivers first.
        let given_back = async {
            link.send(ControlMessage::Detach { session: request.session }).await;
            tokio::select! {
                () = ended_there(&mut notices) => {}
                () = link.closed() => {}
            }
        };
        if timeout(GIVE_BACK_TIMEOUT, given_back).await.is_err() {
            warn!(P2PUSB_ATTACHMENT = request.id, "{} has not said that its device is back", request.peer_label);
        }
    }
    link.forget(request.session);
    result.map(|ended| ended.reason)
}

/// Waits for the peer's word that the session is over.
async fn ended_there(notices: &mut mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        if matches!(notice, Notice::Ended(_) | Notice::Refused(_)) {
            return;
        }
    }
}

struct Ended {
    reason: EndReason,
    by_peer: bool,
}

/// Waits until the peer has opened the device for us.
async fn claim(request: &Request, notices: &mut mpsc::Receiver<Notice>) -> Result<()> {
    let product = || format!("attaching {}", request.product);
    let mut wait = CLAIM_TIMEOUT;
    let answer = async {
        loop {
            match timeout(wait, notices.recv()).await {
                // People take their time.
                Ok(Some(Notice::Asking)) if wait == CLAIM_TIMEOUT => wait = ASKING_MAX + CLAIM_TIMEOUT,
                notice => return notice,
            }
        }
    };
    tokio::select! {
        notice = answer => match notice {
            Ok(Some(Notice::Attached)) => Ok(()),
            Ok(Some(Notice::Refused(refused))) => {
                Err(Error::refused(&request.peer_label, &request.product, refused.reason, &refused.detail))
            }
            Ok(Some(Notice::Ended(reason))) => Err(Error::PeerRefused {
                peer: request.peer_label.clone(),
                detail: format!("it ended the session: {reason}"),
            }),
            Ok(Some(Notice::Resumed(_) | Notice::Ending(_) | Notice::Asking)) => Err(Error::PeerRefused {
                peer: request.peer_label.clone(),
                detail: "it said what does not belong to the start of a session".to_owned(),
            }),
            Ok(None) => Err(Error::PeerUnreachable {
                peer: request.peer_label.clone(),
                detail: "the connection was lost".to_owned(),
            }),
            Err(_) => Err(Error::TimedOut(product())),
        },
        _ = request.stop.stopped() => Err(Error::Cancelled(product())),
    }
}

async fn attached(request: &Request, line: &mut Line, engine: &EngineHandle) -> Result<Ended> {
    let socket_failed = |error| Error::failed("can't make a socket for the kernel", error);
    let kernel = &request.kernel;
    let (ours, kernels) = StdUnixStream::pair().map_err(socket_failed)?;
    ours.set_nonblocking(true).map_err(socket_failed)?;
    let ours = UnixStream::from_std(ours).map_err(socket_failed)?;
    let mut named = None;
    let mut name = |port: &Port| {
        // The one before has gone with its port.
        named = None;
        match Named::new(&request.runtime, &port.bus_path, &names(request)) {
            Ok(file) => named = Some(file),
            Err(error) => warn!(P2PUSB_ATTACHMENT = request.id, "udev is not told whose device it is: {error}"),
        }
    };
    // Ours to choose; the kernel echoes it in every message.
    let device_id = 0x0001_0000 | (request.id & 0xffff);
    let port = kernel.attach(kernels.as_fd(), device_id, request.speed, &mut name)?;
    drop(kernels);
    let place = Place { controller: port.controller, port: port.number, bus_path: port.bus_path.clone() };
    engine.attachment_placed(request.id, place).await;

    let enumeration = async {
        match timeout(ENUMERATION_TIMEOUT, request.bound.notified()).await {
            Ok(()) => std::future::pending().await,
            Err(_) => Error::TimedOut(format!("the enumeration of {} by the kernel", request.product)),
        }
    };
    let (switch, switches) = mpsc::channel(1);
    let (link, counters) = (line.link.clone(), request.counters.clone());
    let pump = Pump::new(request.session, request.speed, link, request.presentable.clone(), counters);
    let pump = pump.run(ours, switches);
    let ends = async {
        let ended = tokio::select! {
            biased;
            reason = request.stop.stopped() => {
                // Where the device still answers, its drivers may finish what they are about.
                tokio::select! {
                    () = line.link.closed() => {}
                    () = let_go(kernel, &port) => {}
                }
                Ok(Ended { reason, by_peer: false })
            }
            ended = follow(request, line, &switch, engine) => Ok(ended),
            error = enumeration => Err(error),
        };
        gone(&switch).await;
        ended
    };
    let ended = tokio::select! {
        biased;
        ended = ends => ended,
        stopped = pump => match stopped {
            Stopped::Over(reason) => Ok(Ended { reason, by_peer: false }),
            Stopped::Unaccepted(unaccepted) => Err(Error::DeviceNotAccepted {
                device: format!("{} of {}", request.product, request.peer_label),
                reason: unaccepted.to_string(),
            }),
        },
    };
    if let Err(error) = kernel.detach(&port) {
        warn!(P2PUSB_ATTACHMENT = request.id, "the kernel did not detach port {}: {error}", port.number);
    }
    port_released(kernel.as_ref(), &port, request.id).await;
    drop(named);
    ended
}

/// What udev is told of the device.
fn names(request: &Request) -> Names<'_> {
    let Request { peer, peer_label, id, device, .. } = request;
    Names { peer: *peer, label: peer_label, attachment: *id, remote_id: device }
}

/// Follows the session from connection to connection until the peer or the grace time ends it.
async fn follow(request: &Request, line: &mut Line, pump: &mpsc::Sender<Switch>, engine: &EngineHandle) -> Ended {
    loop {
        match line.notices.recv().await {
            Some(Notice::Ending(ending)) => {
                tell_due(request, ending, engine).await;
                continue;
            }
            Some(Notice::Ended(reason)) => return Ended { reason, by_peer: true },
            Some(_) => return Ended { reason: EndReason::ProtocolError, by_peer: false },
            // The link has broken.
            None => {}
        }
        if let Some(reason) = line.link.final_reason() {
            return Ended { reason, by_peer: true };
        }
        let Some(positions) = pause(pump).await else { return std::future::pending().await };
        warn!(
            P2PUSB_ATTACHMENT = request.id,
            "the connection to {} is lost; the device stays for {:?}", request.peer_label, request.grace
        );
        engine.attachment_paused(request.id, Some(request.grace)).await;
        let lanes = match timeout(request.grace, reconnect(request, line, positions, engine)).await {
            Ok(Ok(lanes)) => lanes,
            Ok(Err(reason)) => return Ended { reason, by_peer: true },
            Err(_) => return Ended { reason: EndReason::PeerLost, by_peer: true },
        };
        info!(P2PUSB_ATTACHMENT = request.id, "the session with {} goes on", request.peer_label);
        // The pump ends only after this.
        let _ = pump.send(Switch::Resume { link: line.link.clone(), lanes }).await;
        engine.attachment_paused(request.id, None).await;
    }
}

/// Everybody who looks at the attachment is told when it is going to end.
async fn tell_due(request: &Request, ending: Ending, engine: &EngineHandle) {
    engine.attachment_due(request.id, Duration::from_micros(ending.left_usec), ending.reason).await;
}

/// Has the pump tell the kernel that the device is gone, where the kernel waits for an answer.
async fn gone(pump: &mpsc::Sender<Switch>) {
    let (quiet, is_quiet) = oneshot::channel();
    if pump.send(Switch::Gone { quiet }).await.is_ok() {
        // It is a courtesy: without it the port is free later.
        let _ = timeout(GONE_TIMEOUT, is_quiet).await;
    }
}

/// Has the pump leave its connection; says what has come on each lane. `None` when the pump has ended.
async fn pause(pump: &mpsc::Sender<Switch>) -> Option<Vec<LanePosition>> {
    let (reply, positions) = oneshot::channel();
    pump.send(Switch::Pause { reply }).await.ok()?;
    positions.await.ok()
}

/// Waits for a connection and goes on with the session there; says what of each lane has come to the peer. An error
/// says why the session is over.
async fn reconnect(
    request: &Request,
    line: &mut Line,
    positions: Vec<LanePosition>,
    engine: &EngineHandle,
) -> Result<Vec<LanePosition>, EndReason> {
    let mut links = request.links.clone();
    loop {
        let usable = |link: &Option<Connected>| link.as_ref().is_some_and(|link| !link.is_closed());
        let Some(link) = links.wait_for(usable).await.map_err(|_| EndReason::PeerForgotten)?.clone() else { continue };
        let notices = link.resume(request.session, positions.clone()).await;
        *line = Line { link, notices };
        let mut notice = line.notices.recv().await;
        while let Some(Notice::Ending(ending)) = notice {
            tell_due(request, ending, engine).await;
            notice = line.notices.recv().await;
        }
        match notice {
            Some(Notice::Resumed(lanes)) => return Ok(lanes),
            Some(Notice::Ended(reason)) => return Err(reason),
            Some(_) => return Err(EndReason::ProtocolError),
            None => {
                if let Some(reason) = line.link.final_reason() {
                    return Err(reason);
                }
                // This one is as good as gone, but its successor has not come yet.
                let _ = links.changed().await;
            }
        }
    }
}

/// Has the drivers let go of the device, as before it is pulled out properly: a disk writes its cache.
async fn let_go(kernel: &Arc<dyn VirtualHost>, port: &Port) {
    let (kernel, number, port) = (kernel.clone(), port.number, port.clone());
    let released = tokio::task::spawn_blocking(move || kernel.deauthorize(&port));
    match timeout(LET_GO_TIMEOUT, released).await {
        Ok(Ok(Ok(()))) => {}
        // Gone meanwhile, or never seen by the kernel: nobody has anything to let go of.
        Ok(Ok(Err(error))) if error.kind() == std::io::ErrorKind::NotFound => {
            debug!("the device on port {number} is gone already");
        }
        Ok(Ok(Err(error))) => warn!("the drivers of the device on port {number} can't be asked to let go: {error}"),
        Ok(Err(error)) => debug!("the drivers of the device on port {number} were not asked to let go: {error}"),
        Err(_) => warn!("the drivers of the device on port {number} do not let go; it is detached all the same"),
    }
}

/// Waits until nothing is left of the device on this port.
async fn port_released(kernel: &dyn VirtualHost, port: &Port, id: u32) {
    let deadline = Instant::now() + PORT_RELEASE_TIMEOUT;
    while Instant::now() < deadline {
        match kernel.port(port.number) {
            Ok(Some(now)) if !now.free => sleep(PORT_RELEASE_INTERVAL).await,
            _ => return,
        }
    }
    warn!(
        P2PUSB_ATTACHMENT = id,
        "port {} is still taken {PORT_RELEASE_TIMEOUT:?} after its device was detached", port.number
    );
}
