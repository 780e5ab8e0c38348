//! The door: takes connections of paired peers, and of whoever brings a ticket.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iroh::{Endpoint, endpoint::Incoming};
use p2pusb_protocol::{ALPN, CloseCode, PAIRING_ALPN};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use tracing::{debug, info};

use super::{
    Admission, BLOCKED, Standing, close,
    pairing::{self, Desk},
    serve::serve,
};
use crate::{engine::EngineHandle, peer::PeerId, people::People, share::Claims};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that may be open or in their handshake at a time; more are refused unheard.
const MAX_CONNECTIONS: usize = 256;
/// Connections of one peer among them. It needs one, and has two while the earlier one is not known to be lost.
const MAX_CONNECTIONS_PER_PEER: usize = 8;
/// Strangers among them that may be about to show a ticket, or wait for people. They must not take the places of the peers.
const MAX_STRANGERS: usize = 16;

/// What every connection is met with.
#[derive(Clone)]
struct Door {
    endpoint: Endpoint,
    admission: Admission,
    engine: EngineHandle,
    claims: Claims,
    /// A place for each stranger.
    strangers: Arc<Semaphore>,
    /// What they are met with.
    desk: Desk,
    peers: Arc<Places>,
}

/// How many connections each paired peer has.
#[derive(Default)]
struct Places(Mutex<HashMap<PeerId, usize>>);

/// One of them, for as long as this is there.
struct Place {
    places: Arc<Places>,
    peer: PeerId,
}

impl Places {
    fn counts(&self) -> MutexGuard<'_, HashMap<PeerId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, peer: PeerId) -> Option<Place> {
        let mut counts = self.counts();
        let count = counts.entry(peer).or_default();
        (*count < MAX_CONNECTIONS_PER_PEER).then(|| {
            *count += 1;
            Place { places: self.clone(), peer }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.places.counts().entry(self.peer) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Serves connections until the endpoint is closed, then waits for the last of them.
pub(crate) async fn accept_loop(
    endpoint: Endpoint,
    admission: Admission,
    engine: EngineHandle,
    people: People,
    claims: Claims,
) {
    let mut connections = JoinSet::new();
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    let desk = Desk::new(endpoint.clone(), engine.clone(), people);
    let door = Door { endpoint, admission, engine, claims, strangers, desk, peers: Arc::default() };
    while let Some(incoming) = door.endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            incoming.refuse();
            continue;
        }
        connections.spawn(handle(door.clone(), incoming));
    }
    while connections.join_next().await.is_some() {}
    door.claims.finished().await;
}

async fn handle(door: Door, incoming: Incoming) {
    let Door { endpoint, admission, engine, claims, strangers, desk, peers } = door;
    let connection = match incoming.accept() {
        Ok(accepting) => timeout(HANDSHAKE_TIMEOUT, accepting).await,
        Err(error) => return debug!("a connection failed: {error}"),
    };
    let connection = match connection {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return debug!("a handshake failed: {error}"),
        Err(_) => return debug!("a handshake took too long"),
    };
    let peer = PeerId::from(connection.remote_id());
    match (connection.alpn(), admission.standing(peer)) {
        (_, Standing::Blocked) => {
            debug!(P2PUSB_PEER = peer.short(), "refused a machine that is blocked");
            close(&connection, CloseCode::Blocked, BLOCKED);
            connection.closed().await;
        }
        (PAIRING_ALPN, _) => match strangers.try_acquire() {
            Ok(_place) => pairing::answer(desk, peer, connection).await,
            Err(_) => {
                close(&connection, CloseCode::Normal, "too many machines want to pair at the moment; try again");
                connection.closed().await;
            }
        },
        (ALPN, Standing::Paired) => match peers.take(peer) {
            Some(_place) => serve(endpoint, peer, connection, admission, engine, claims).await,
            None => {
                info!(P2PUSB_PEER = peer.short(), "refused a connection: the peer has {MAX_CONNECTIONS_PER_PEER}");
                close(&connection, CloseCode::ProtocolViolation, "you have too many connections here");
                connection.closed().await;
            }
        },
        (ALPN, Standing::Stranger) => {
            info!(P2PUSB_PEER = peer.short(), "refused a machine that is not paired");
            close(
                &connection,
                CloseCode::NotPaired,
                "this machine is not paired with you; use a ticket (`p2pusb invite` here, `p2pusb pair` there)",
            );
            // The close is sent when the connection is driven once more; wait for it to be out.
            connection.closed().await;
        }
        _ => close(&connection, CloseCode::ProtocolViolation, "unknown protocol"),
    }
}
