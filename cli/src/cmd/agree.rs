//! `p2pusb pair --with` and `p2pusb pair --accept`: pair without a ticket, by comparing a code.

use std::{
    io::{Write as _, stderr},
    time::Duration,
};

use p2pusb_dbus::{
    Options,
    names::{ROOT_PATH, interface, option::EXPIRES_USEC},
    path::peer_path,
};
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, timeout, timeout_at},
};
use zbus::OwnedObjectPath;

use super::pair::report;
use crate::{
    agent::{self, Answered},
    bus::Bus,
    duration,
    exit::Failure,
    format::clean,
    report::Report,
    select,
    snapshot::Snapshot,
    watch::Watch,
};

/// What this machine calls itself on the local network.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// How long the two machines take to become peers, once somebody has agreed on both.
const PAIRED_MAX: Duration = Duration::from_secs(120);

/// Asks a machine, which has to let machines ask.
pub(super) async fn propose(bus: &mut Bus, machine: &str) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let id = select::machine(&all, machine)?;
    // What is answered comes back through the call below.
    let _answered = agent::register(bus).await?;
    let what = format!("Asking {machine}");
    let arguments = (id, Options::new());
    let peer: OwnedObjectPath = bus.call(&what, ROOT_PATH, interface::MANAGER, "ProposePairing", &arguments).await?;
    Ok(report(&bus.snapshot().await?, &peer))
}

/// Lets machines ask for some time, or until one is paired with.
pub(super) async fn accept(bus: &mut Bus, wait: Duration) -> Result<Report, Failure> {
    let until = Instant::now() + wait;
    let mut answered = agent::register(bus).await?;
    let mut watch = Watch::start(bus.connection()).await?;
    let expires = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    set_accepting(bus, true, Options::from([(EXPIRES_USEC, expires.into())])).await?;
    // Who reads the result reads it elsewhere.
    let _ = writeln!(stderr(), "{}", invitation(&bus.snapshot().await?, wait));
    let paired = timeout_at(until, next_peer(&mut answered, &mut watch)).await;
    set_accepting(bus, false, Options::new()).await?;
    match paired {
        Ok(peer) => {
            let peer = peer?;
            Ok(report(&bus.snapshot().await?, &peer))
        }
        Err(_) => Err(Failure::NobodyAsked(duration::words(wait))),
    }
}

async fn set_accepting(bus: &mut Bus, accepting: bool, options: Options<'_>) -> Result<(), Failure> {
    let arguments = (accepting, options);
    bus.call("Waiting for p2pusbd", ROOT_PATH, interface::MANAGER, "SetAcceptingPeers", &arguments).await
}

/// What to do on the other machine.
fn invitation(all: &Snapshot, wait: Duration) -> String {
    let id = &all.manager.endpoint_id;
    let name = std::fs::read_to_string(HOST_NAME).map(|name| clean(name.trim())).unwrap_or_default();
    let there = if name.is_empty() { id.clone() } else { format!("{name} (or its endpoint id, {id})") };
    format!("Machines may ask for {}. Now on the other machine: p2pusb pair --with {there}", duration::words(wait))
}

/// The next machine that somebody agrees to, once it is a peer.
async fn next_peer(answered: &mut Receiver<Answered>, watch: &mut Watch) -> Result<String, Failure> {
    loop {
        let Some(Answered { endpoint_id, agreed }) = answered.recv().await else {
            return Err(Failure::DaemonEnded);
        };
        let peer = peer_path(&endpoint_id).to_string();
        if agreed && let Ok(there) = timeout(PAIRED_MAX, appears(watch, &peer)).await {
            return there.map(|()| peer);
        }
        let _ = writeln!(stderr(), "Not paired. Machines may still ask.");
    }
}

/// Waits until the peer is there.
async fn appears(watch: &mut Watch, peer: &str) -> Result<(), Failure> {
    watch.look().await?;
    while watch.snapshot().peer(peer).is_none() {
        watch.next().await?;
    }
    Ok(())
}
