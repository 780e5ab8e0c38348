//! The life of one attachment: ask the peer, take a port, pump URBs, give the port back.

use std::{os::unix::net::UnixStream as StdUnixStream, sync::Arc, time::Duration};

use p2pusb_protocol::{ControlMessage, EndReason, SessionId, Speed};
use tokio::{
    net::UnixStream,
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    Counters,
    pump::Pump,
    vhci::{Port, Vhci},
};
use crate::{
    engine::EngineHandle,
    error::{Error, Result},
    net::link::{Connected, Notice},
    stop::Stop,
};

/// How long the peer may take to open its device.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the kernel may take to enumerate the device. A slow link pays a round trip for each of some
/// twenty requests, and the kernel itself retries a device that does not answer for 5 s each.
const ENUMERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the drivers of a device may take to let go of it.
const LET_GO_TIMEOUT: Duration = Duration::from_secs(5);
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
    /// The session's number, unique on the link.
    pub(crate) session: SessionId,
    /// The link to the exporter.
    pub(crate) link: Connected,
    /// The exporter's label, for people.
    pub(crate) peer_label: String,
    /// The device's id, as the exporter offers it.
    pub(crate) device: String,
    /// The device's name, for people.
    pub(crate) product: String,
    /// The device's speed, which decides the port.
    pub(crate) speed: Speed,
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

/// Runs an attachment from the first word to the last; says why it ended, or why it never began.
pub(crate) async fn run(request: Request, engine: EngineHandle) -> Result<EndReason> {
    let vhci = Vhci::open()?;
    // Asked before the peer takes the device from its own drivers for nothing.
    if !vhci.has_free_port(request.speed)? {
        return Err(Error::NoFreePort(request.speed));
    }
    let mut notices = request.link.attach(request.session, request.device.clone()).await;
    let result = match claim(&request, &mut notices).await {
        Ok(()) => attached(&vhci, &request, &mut notices, &engine).await,
        Err(error) => Err(error),
    };
    // A peer that has refused, or has ended the session, holds nothing of ours.
    let by_us = matches!(
        &result,
        Ok(Ended { by_peer: false, .. })
            | Err(Error::TimedOut(_) | Error::Cancelled(_) | Error::NoFreePort(_) | Error::Failed { .. })
    );
    if by_us {
        request.link.send(ControlMessage::Detach { session: request.session }).await;
        // Whoever asked for the detach may want to attach again at once: the peer's drivers first.
        let given_back = async {
            tokio::select! {
                () = ended_there(&mut notices) => {}
                () = request.link.closed() => {}
            }
        };
        if timeout(GIVE_BACK_TIMEOUT, given_back).await.is_err() {
            warn!(P2PUSB_ATTACHMENT = request.id, "{} has not said that its device is back", request.peer_label);
        }
    }
    request.link.forget(request.session);
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
    tokio::select! {
        notice = timeout(CLAIM_TIMEOUT, notices.recv()) => match notice {
            Ok(Some(Notice::Attached)) => Ok(()),
            Ok(Some(Notice::Refused(refused))) => {
                Err(Error::refused(&request.peer_label, &request.product, refused.reason, &refused.detail))
            }
            Ok(Some(Notice::Ended(reason))) => Err(Error::PeerRefused {
                peer: request.peer_label.clone(),
                detail: format!("it ended the session: {reason}"),
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

async fn attached(
    vhci: &Vhci,
    request: &Request,
    notices: &mut mpsc::Receiver<Notice>,
    engine: &EngineHandle,
) -> Result<Ended> {
    let socket_failed = |error| Error::failed("can't make a socket for the kernel", error);
    let (ours, kernels) = StdUnixStream::pair().map_err(socket_failed)?;
    ours.set_nonblocking(true).map_err(socket_failed)?;
    let ours = UnixStream::from_std(ours).map_err(socket_failed)?;
    // The device id is ours to choose; the kernel echoes it in every message.
    let port = vhci.attach(&kernels, 0x0001_0000 | (request.id & 0xffff), request.speed)?;
    drop(kernels);
    let place = Place { controller: port.controller, port: port.number, bus_path: port.bus_path.clone() };
    engine.attachment_placed(request.id, place).await;

    let pump = Pump::new(request.session, request.link.clone(), request.counters.clone());
    let enumeration = async {
        match timeout(ENUMERATION_TIMEOUT, request.bound.notified()).await {
            Ok(()) => std::future::pending().await,
            Err(_) => Error::TimedOut(format!("the enumeration of {} by the kernel", request.product)),
        }
    };
    let pump = pump.run(ours);
    tokio::pin!(pump);
    let ended = tokio::select! {
        reason = &mut pump => Ok(Ended { reason, by_peer: false }),
        notice = notices.recv() => Ok(match notice {
            Some(Notice::Ended(reason)) => Ended { reason, by_peer: true },
            None => Ended { reason: request.link.end_reason(), by_peer: true },
            Some(_) => Ended { reason: EndReason::ProtocolError, by_peer: false },
        }),
        reason = request.stop.stopped() => {
            // The device still answers: its drivers may finish what they are about.
            tokio::select! {
                () = let_go(vhci, &port) => {}
                _ = &mut pump => {}
                () = request.link.closed() => {}
            }
            Ok(Ended { reason, by_peer: false })
        }
        error = enumeration => Err(error),
    };
    if let Err(error) = vhci.detach(&port) {
        warn!(P2PUSB_ATTACHMENT = request.id, "the kernel did not detach port {}: {error}", port.number);
    }
    port_released(vhci, &port, request.id).await;
    ended
}

/// Has the drivers let go of the device, as before it is pulled out properly: a disk writes its cache.
async fn let_go(vhci: &Vhci, port: &Port) {
    let (vhci, number, port) = (vhci.clone(), port.number, port.clone());
    let released = tokio::task::spawn_blocking(move || vhci.deauthorize(&port));
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
async fn port_released(vhci: &Vhci, port: &Port, id: u32) {
    let deadline = Instant::now() + PORT_RELEASE_TIMEOUT;
    while Instant::now() < deadline {
        match vhci.port(port.number) {
            Ok(Some(now)) if !now.is_free() => sleep(PORT_RELEASE_INTERVAL).await,
            _ => return,
        }
    }
    warn!(
        P2PUSB_ATTACHMENT = id,
        "port {} is still taken {PORT_RELEASE_TIMEOUT:?} after its device was detached", port.number
    );
}
