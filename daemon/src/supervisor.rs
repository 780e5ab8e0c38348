//! Brings everything up in order, keeps it together, and takes it down in order.
//!
//! Up: state, devices, endpoint, engine, objects, bus name, READY. Down: every device back and every port
//! free, then the links, then the bus. Whichever part ends by itself ends the daemon, with its error.

use std::{path::PathBuf, sync::Arc, time::Duration};

use p2pusb_dbus::names::{
    BUS_NAME, RUNTIME_DIRECTORY_DEFAULT, STATE_DIRECTORY_DEFAULT,
    env::{RUNTIME_DIRECTORY, STATE_DIRECTORY},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tracing::{error, info, warn};
use zbus::Connection;

use crate::{
    attach,
    bus::{self, agents::Agents},
    config::{ConfigError, Source},
    diagnose::Diagnosis,
    engine::{Engine, EngineHandle, Inputs},
    net::{self, Admission, BindError},
    people::People,
    policy::Authorizer,
    reload::{Reload, Settings},
    sd::notify,
    share::Claims,
    store::{Store, StoreError},
    usb::{self, Hotplug, UsbError, UsbHost, recovery},
};

/// How long sessions may take to end when the daemon stops; systemd would wait 90 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the endpoint may take to say goodbye to its peers.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the daemon can't start, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state folder can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No network.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No USB.
    #[error(transparent)]
    Usb(#[from] UsbError),
    /// No bus.
    #[error("the system bus can't be used: {0}")]
    Bus(#[from] zbus::Error),
    /// Something that the process needs of the kernel.
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    /// A part that never ends has ended.
    #[error("{0} ended")]
    Ended(&'static str),
}

fn directory(variable: &str, default: &str) -> PathBuf {
    // systemd separates several by colons (systemd.exec(5)); there is one of each here.
    std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from)
}

/// `p2pusbd --cleanup`: what a daemon that was killed has left behind.
pub fn clean_up() -> Result<(), Failure> {
    let runtime = directory(RUNTIME_DIRECTORY, RUNTIME_DIRECTORY_DEFAULT);
    let given_back = recovery::give_back_all(&runtime)?;
    for device in given_back {
        info!(P2PUSB_DEVICE = %device, "given back to its drivers after a crash");
    }
    attach::forget_names(&runtime).map_err(|error| Failure::Io("the names of attached devices", error))?;
    Ok(())
}

/// `p2pusbd --check-config`: whether the settings are good; the files in which they are.
pub fn check_config(source: &Source) -> Result<Vec<PathBuf>, Failure> {
    Ok(source.read()?.files)
}

/// Runs the daemon until SIGTERM or SIGINT.
pub async fn run(source: Source) -> Result<(), Failure> {
    let config = source.read()?.config;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::Io("SIGTERM", error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::Io("SIGINT", error))?;
    // Until it is followed, a reload asks for what is being read anyway.
    let hangup = signal(SignalKind::hangup()).map_err(|error| Failure::Io("SIGHUP", error))?;
    clean_up()?;

    let runtime = directory(RUNTIME_DIRECTORY, RUNTIME_DIRECTORY_DEFAULT);
    let store = Store::open(directory(STATE_DIRECTORY, STATE_DIRECTORY_DEFAULT))?;
    let host = UsbHost::start()?;
    // Before the list is made, so that nothing is missed between the two.
    let mut hotplug = Hotplug::new()?;
    let devices = usb::enumerate()?;
    let endpoint = net::bind(store.identity()?, &config.network, store.last_port()?).await?;
    if let Some(address) = endpoint.bound_sockets().first() {
        store.save_last_port(address.port())?;
    }
    let relay_mode = config.network.relay.mode();
    let mdns = config.network.mdns;
    let relay = tokio::spawn(net::relay::follow(endpoint.clone(), config.network.relay.clone()));
    let bus = Connection::system().await?;

    let admission = Admission::default();
    let kept = store.clone();
    let (people, questions) = People::new();
    let agents = Agents::default();
    let inputs = Inputs {
        store,
        endpoint: endpoint.clone(),
        admission: admission.clone(),
        runtime,
        relay_mode,
        kernel: attach::kernel(),
        grace: config.session.grace,
        accept: config.attach.clone().into(),
        rules: config.rules.clone(),
        people: people.clone(),
        devices,
    };
    let (engine, handle, changes) = Engine::new(inputs)?;
    let engine = tokio::spawn(engine.run());
    let (reload, requests) = Reload::new();
    let diagnosis = Diagnosis::new(endpoint.clone(), source.clone(), config.clone(), kept);
    let settings = Settings { source, started_with: config, engine: handle.clone() };
    let settings = tokio::spawn(settings.follow(hangup, requests));
    let authorizer = Authorizer::new(bus.clone());
    let asking = tokio::spawn(agents.clone().serve(bus.clone(), authorizer.clone(), questions));
    let context = bus::Context { engine: handle.clone(), reload, diagnosis, authorizer, agents: agents.clone() };
    let mirror = tokio::spawn(bus::serve(bus.clone(), context, changes));
    let claims = Claims::new(handle.clone(), host.clone());
    let accept =
        tokio::spawn(net::accept::accept_loop(endpoint.clone(), admission, handle.clone(), people, claims.clone()));
    let moved = tokio::spawn(net::moved::follow(endpoint.clone(), handle.clone(), claims));
    let lan = tokio::spawn(net::lan::follow(endpoint.clone(), mdns, handle.clone()));
    // Clients that see the name see the objects, too.
    handle.sync().await;
    bus.request_name(BUS_NAME).await?;
    info!("{} is up as {}", BUS_NAME, endpoint.id());
    notify::status("sharing and attaching USB devices");
    notify::ready();

    let failure = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = follow_hotplug(&mut hotplug, &handle) => Some(Failure::Usb(error)),
        () = notify::watchdog(handle.clone()) => Some(Failure::Ended("the watchdog")),
        result = mirror => Some(match result {
            Ok(Err(error)) => Failure::Bus(error),
            _ => Failure::Ended("the bus"),
        }),
        _ = bus_closed(&bus) => Some(Failure::Ended("the connection to the bus")),
    };
    notify::stopping();
    if let Some(failure) = &failure {
        error!("stopping: {failure}");
    }
    relay.abort();
    moved.abort();
    lan.abort();
    settings.abort();
    asking.abort();
    agents.release(&bus).await;
    stop(handle, engine, endpoint, accept, host).await;
    failure.map_or(Ok(()), Err)
}

async fn follow_hotplug(hotplug: &mut Hotplug, engine: &EngineHandle) -> UsbError {
    loop {
        match hotplug.next().await {
            Ok(event) => engine.hotplug(event).await,
            Err(error) => return error,
        }
    }
}

/// A daemon without a bus serves nobody: systemd starts it anew.
async fn bus_closed(bus: &Connection) {
    use futures_lite::StreamExt as _;
    let mut messages = zbus::MessageStream::from(bus);
    while messages.next().await.is_some() {}
}

async fn stop(
    handle: EngineHandle,
    engine: tokio::task::JoinHandle<()>,
    endpoint: iroh::Endpoint,
    accept: tokio::task::JoinHandle<()>,
    host: Arc<UsbHost>,
) {
    if timeout(STOP_TIMEOUT, handle.shutdown()).await.is_err() {
        warn!("some sessions did not end in {STOP_TIMEOUT:?}; the kernel ends them with this process");
    }
    engine.abort();
    if timeout(CLOSE_TIMEOUT, endpoint.close()).await.is_err() {
        warn!("some peers could not be told that we stop");
    }
    accept.abort();
    host.stop();
}
