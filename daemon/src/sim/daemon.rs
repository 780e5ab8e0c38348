//! A daemon without a bus, and with simulated ends.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use p2pusb_protocol::{PeerAddress, Pin};
use tokio::{
    runtime,
    sync::{mpsc, oneshot, watch},
};

use super::{Model, SimDevice, SimHost, SimKernel, SimPort};
use crate::{
    config::{Grace, Network},
    engine::{
        AttachWish, Engine, EngineHandle, Inputs, ShareWish, TicketWish,
        view::{AttachmentView, Change, Object, ObjectId, PeerView, RemoteDeviceView},
    },
    error::{Error, Result},
    net::{self, Admission, accept::accept_loop, ticket::Ticket},
    peer::PeerId,
    people::People,
    policy::Accept,
    share::Claims,
    store::Store,
    usb::{BusPath, HotplugEvent},
};

/// How long a ticket lives, in microseconds.
const TICKET_LIFETIME: u64 = 3_600_000_000;

/// What a daemon shows of itself.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Its peers.
    pub peers: BTreeMap<PeerId, PeerView>,
    /// What they offer.
    pub remote_devices: BTreeMap<(PeerId, String), RemoteDeviceView>,
    /// What it has attached.
    pub attachments: BTreeMap<u32, AttachmentView>,
}

/// A daemon with a thread of its own, as the program has.
#[derive(Debug)]
pub struct SimDaemon {
    /// Its kernel.
    pub kernel: SimKernel,
    /// What is plugged in there.
    pub host: Arc<SimHost>,
    /// Its name.
    pub id: PeerId,
    /// Its engine.
    pub engine: EngineHandle,
    /// What it shows.
    pub shown: watch::Receiver<Shown>,
    /// Where it can be found.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// An attached device.
#[derive(Debug, Clone)]
pub struct SimAttachment {
    /// The attachment's number.
    pub number: u32,
    /// The port with the device.
    pub port: SimPort,
}

struct Up {
    engine: EngineHandle,
    shown: watch::Receiver<Shown>,
    id: PeerId,
    address: SocketAddr,
}

impl SimDaemon {
    /// Starts a daemon that keeps its state in `folder`. `begin` runs first on the daemon's thread.
    ///
    /// # Errors
    ///
    /// When something can't be had that it needs of the system.
    pub async fn start(folder: &Path, begin: impl FnOnce() + Send + 'static) -> Result<Self> {
        let failed = |error: io::Error| Error::failed("a simulated daemon can't be started", error);
        let host = SimHost::start().map_err(failed)?;
        let (kernel, hotplug) = SimKernel::new();
        let (stop, stopped) = oneshot::channel();
        let (up, is_up) = oneshot::channel();
        let run = {
            let (folder, host, kernel) = (folder.to_owned(), host.clone(), kernel.clone());
            move || {
                begin();
                // As the program's, see main.rs.
                match runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => {
                        runtime.block_on(serve(folder, host, kernel, hotplug, up, stopped));
                        runtime.shutdown_background();
                    }
                    Err(error) => drop(up.send(Err(failed(error)))),
                }
            }
        };
        let thread = thread::Builder::new().name("sim-daemon".into()).spawn(run).map_err(failed)?;
        let ended = |_| Error::Cancelled("the start".to_owned());
        let Up { engine, shown, id, address } = is_up.await.map_err(ended)??;
        Ok(Self { kernel, host, id, engine, shown, address, stop, thread })
    }

    /// Plugs in a device here, and shares it with every peer.
    ///
    /// # Errors
    ///
    /// Those of sharing.
    pub async fn lend(&self, bus_path: &str, model: Model) -> Result<Arc<SimDevice>> {
        let path: BusPath =
            bus_path.parse().map_err(|error| Error::failed(format!("plugging in at {bus_path}"), error))?;
        let (device, info) = self.host.plug(path.clone(), model);
        self.engine.hotplug(HotplugEvent::Bound(info)).await;
        self.engine.share_device(path, ShareWish::default(), 0).await?;
        Ok(device)
    }

    /// Pulls out a device.
    pub async fn unplug(&self, bus_path: &BusPath) {
        self.host.unplug(bus_path);
        self.engine.hotplug(HotplugEvent::Removed(bus_path.clone())).await;
    }

    /// Makes a ticket with which another one can be paired with this.
    ///
    /// # Errors
    ///
    /// Those of making a ticket.
    pub async fn invite(&self) -> Result<String> {
        let ticket = Ticket::parse(
            &self.engine.create_ticket(TicketWish { lifetime_usec: TICKET_LIFETIME, ..TicketWish::default() }).await?,
        )?;
        // The loopback interface, which no daemon tells others of.
        Ok(Ticket { addresses: vec![PeerAddress::Ip(self.address)], ..ticket }.to_text())
    }

    /// Redeems another one's ticket.
    ///
    /// # Errors
    ///
    /// Those of redeeming.
    pub async fn accept(&self, ticket: String) -> Result<PeerId> {
        self.engine.add_peer(ticket).await
    }

    /// Waits until what it shows is like this.
    pub async fn shows(&self, like: impl FnMut(&Shown) -> bool) {
        // An error means that it has ended; then it is for the next call to say so.
        let _ = self.shown.clone().wait_for(like).await;
    }

    /// Waits until a peer offers a device of that name, and attaches it.
    ///
    /// # Errors
    ///
    /// Those of attaching.
    pub async fn attach(&self, peer: PeerId, product: &str) -> Result<SimAttachment> {
        self.attach_with(peer, product, None).await
    }

    /// The same with a PIN.
    ///
    /// # Errors
    ///
    /// Those of attaching.
    pub async fn attach_with(&self, peer: PeerId, product: &str, pin: Option<Pin>) -> Result<SimAttachment> {
        let mut found = None;
        self.shows(|shown| {
            let offers = shown.remote_devices.values();
            let offer = offers
                .into_iter()
                .find(|offer| offer.peer == peer && offer.available && offer.facts.product == product);
            found = offer.map(|offer| offer.remote_id.clone());
            found.is_some()
        })
        .await;
        let device = found.ok_or_else(|| Error::NotShared(product.to_owned()))?;
        let wish = AttachWish { keep: true, pin, ..AttachWish::default() };
        let number = self.engine.attach(peer, device, wish, 0).await?;
        let mut port = None;
        self.shows(|shown| {
            port = shown.attachments.get(&number).filter(|view| view.state == "attached").map(|view| view.port);
            port.is_some()
        })
        .await;
        let port = port.and_then(|port| self.kernel.port(port));
        Ok(SimAttachment { number, port: port.ok_or_else(|| Error::NotAttached(product.to_owned()))? })
    }

    /// Stops it, as the supervisor does.
    pub async fn stop(self) {
        // It may have ended already.
        let _ = self.stop.send(());
        // Joined where it stops nobody; a panic in there has been reported by the panic hook.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

async fn serve(
    folder: PathBuf,
    host: Arc<SimHost>,
    kernel: SimKernel,
    mut hotplug: mpsc::Receiver<HotplugEvent>,
    up: oneshot::Sender<Result<Up>>,
    stopped: oneshot::Receiver<()>,
) {
    let (endpoint, engine, handle, changes, claims, admission, people) = match prepare(folder, host, kernel).await {
        Ok(parts) => parts,
        Err(error) => return drop(up.send(Err(error))),
    };
    let (shown, is_shown) = watch::channel(Shown::default());
    tokio::spawn(show(changes, shown));
    let engine = tokio::spawn(engine.run());
    let accept = tokio::spawn(accept_loop(endpoint.clone(), admission, handle.clone(), people, claims));
    let address = endpoint.bound_sockets().first().copied().unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    let told = Up { engine: handle.clone(), shown: is_shown, id: endpoint.id().into(), address };
    // Whoever started it may be gone; then it stops at once.
    let _ = up.send(Ok(told));
    let follow = async {
        while let Some(event) = hotplug.recv().await {
            handle.hotplug(event).await;
        }
    };
    let shutdown = async {
        let _ = stopped.await;
        handle.shutdown().await;
    };
    // Until the last port is free, of which the kernel tells.
    tokio::select! {
        () = follow => {}
        () = shutdown => {}
    }
    endpoint.close().await;
    // A panic in there has been reported by the panic hook.
    let _ = (engine.await, accept.await);
}

type Parts = (iroh::Endpoint, Engine, EngineHandle, mpsc::Receiver<Change>, Claims, Admission, People);

async fn prepare(folder: PathBuf, host: Arc<SimHost>, kernel: SimKernel) -> Result<Parts> {
    let kept = |error| Error::failed("a simulated daemon has no state", error);
    let store = Store::open(&folder).map_err(kept)?;
    let network = Network { bind: vec![(Ipv4Addr::LOCALHOST, 0).into()], ..Network::default() };
    let key = store.identity().map_err(kept)?;
    let bound = net::bind(key, &network, None).await;
    let endpoint = bound.map_err(|error| Error::failed("a simulated daemon has no network", error))?;
    let admission = Admission::default();
    // There is nobody behind it.
    let (people, _) = People::new();
    let inputs = Inputs {
        store,
        endpoint: endpoint.clone(),
        admission: admission.clone(),
        runtime: folder,
        relay_mode: "none",
        kernel: Arc::new(kernel),
        grace: Grace::default(),
        accept: Accept::default(),
        rules: Default::default(),
        people: people.clone(),
        devices: Vec::new(),
    };
    let (engine, handle, changes) = Engine::new(inputs).map_err(kept)?;
    let claims = Claims::new(handle.clone(), host);
    Ok((endpoint, engine, handle, changes, claims, admission, people))
}

async fn show(mut changes: mpsc::Receiver<Change>, shown: watch::Sender<Shown>) {
    while let Some(change) = changes.recv().await {
        match change {
            Change::Set(object) => shown.send_modify(|shown| match *object {
                Object::Peer(view) => drop(shown.peers.insert(view.id, view)),
                Object::RemoteDevice(view) => {
                    shown.remote_devices.insert((view.peer, view.remote_id.clone()), view);
                }
                Object::Attachment(view) => drop(shown.attachments.insert(view.id, view)),
                Object::Manager(_) | Object::Device(_) | Object::Share(_) => {}
            }),
            Change::Removed(id) => shown.send_modify(|shown| match id {
                ObjectId::Peer(id) => drop(shown.peers.remove(&id)),
                ObjectId::RemoteDevice(peer, id) => drop(shown.remote_devices.remove(&(peer, id))),
                ObjectId::Attachment(id) => drop(shown.attachments.remove(&id)),
                ObjectId::Manager | ObjectId::Device(_) | ObjectId::Share(_) => {}
            }),
            // Whoever asked may be gone; then nobody needs to know.
            Change::Barrier(reply) => drop(reply.send(())),
        }
    }
}
