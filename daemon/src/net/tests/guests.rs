//! Machines that were paired with a limited ticket: for one device, or for a time.

use std::{collections::BTreeSet, sync::Arc};

use iroh::{Endpoint, SecretKey};
use p2pusb_protocol::{
    ALPN, Attach, CloseCode, ControlMessage, MAJOR, PairRefusal, PairingMessage, Refusal, SessionId,
};

use super::{Daemon, bare, closed, must, record, show_ticket};
use crate::{
    engine::{ShareWish, TicketWish},
    error::Error,
    net::{link::read_control, ticket::Ticket},
    peer::PeerId,
    store::PeerRecord,
    usb::sim::{Model, SimHost},
};

const HOUR: u64 = 3_600_000_000;
const SECOND: u64 = 1_000_000;

/// A daemon that shares two devices, the second one with a friend alone; the ids of the shares.
async fn sharing(friend: &Endpoint) -> (Daemon, [String; 2]) {
    let host = SimHost::start().unwrap();
    let devices = ["9-1", "9-2"].map(|path| host.plug(path.parse().unwrap(), Model::new(path)).1);
    let paths = devices.each_ref().map(|info| info.bus_path.clone());
    let daemon = Daemon::with(&[record(friend, None)], Arc::clone(&host), devices.to_vec()).await;
    let [first, second] = paths;
    let named = ShareWish { peers: vec![friend.id().into()], ..ShareWish::default() };
    let first = daemon.engine.share_device(first, ShareWish::default(), 0).await.unwrap();
    let second = daemon.engine.share_device(second, named, 0).await.unwrap();
    (daemon, [first, second])
}

async fn ticket(daemon: &Daemon, scope: Option<&String>, access_usec: u64) -> Ticket {
    let wish = TicketWish { lifetime_usec: HOUR, scope: scope.cloned(), access_usec };
    Ticket::parse(&daemon.engine.create_ticket(wish).await.unwrap()).unwrap()
}

async fn redeem(daemon: &Daemon, by: &Endpoint, ticket: Ticket) {
    let answer = show_ticket(daemon, by, ticket.secret, MAJOR).await;
    assert!(matches!(answer, PairingMessage::Accepted { .. }), "{answer:?}");
}

/// What a peer is offered, and whether it is let have something else all the same.
async fn offered(daemon: &Daemon, peer: &Endpoint, other: &str) -> BTreeSet<String> {
    let (_connection, mut tx, mut rx) = daemon.link(peer).await;
    let attach = Attach { session: SessionId(1), device: other.to_owned() };
    tx.write_all(&ControlMessage::Attach(attach).encode()).await.unwrap();
    let (mut offered, mut complete, mut refused) = (BTreeSet::new(), false, false);
    while !(complete && refused) {
        match must("the list and a refusal", read_control(&mut rx)).await.unwrap() {
            Some((ControlMessage::DeviceOffered(device), _)) => drop(offered.insert(device.id)),
            Some((ControlMessage::DevicesComplete, _)) => complete = true,
            Some((ControlMessage::AttachRefused(answer), _)) => {
                assert_eq!(answer.reason, Refusal::NotShared);
                refused = true;
            }
            other => panic!("{other:?}"),
        }
    }
    offered
}

#[tokio::test]
async fn a_guest_has_its_device_and_no_other() {
    let (friend, guest) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, [open, named]) = sharing(&friend).await;
    redeem(&daemon, &guest, ticket(&daemon, Some(&named), 0).await).await;
    daemon.shown("its scope", |view| view.scope.as_ref() == Some(&named)).await;
    assert_eq!(offered(&daemon, &guest, &open).await, [named.clone()].into());

    // With another ticket it is another guest; the share that named it does so still.
    redeem(&daemon, &guest, ticket(&daemon, Some(&open), 0).await).await;
    assert_eq!(offered(&daemon, &guest, &named).await, [open.clone()].into());
    redeem(&daemon, &guest, ticket(&daemon, None, 0).await).await;
    let nothing = "0badcafe";
    assert_eq!(offered(&daemon, &guest, nothing).await, [open.clone(), named.clone()].into());
    assert_eq!(offered(&daemon, &friend, nothing).await, [open, named].into());
    daemon.stop().await;
}

#[tokio::test]
async fn a_ticket_is_for_a_share_that_is_there() {
    let (friend, guest) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, [share, _]) = sharing(&friend).await;
    let wish = TicketWish { lifetime_usec: HOUR, scope: Some("0badcafe".to_owned()), access_usec: 0 };
    let unknown = daemon.engine.create_ticket(wish).await;
    assert!(matches!(unknown, Err(Error::NotShared(_))), "{unknown:?}");

    let late = ticket(&daemon, Some(&share), 0).await;
    daemon.engine.revoke(share).await.unwrap();
    let refused = PairingMessage::Refused(PairRefusal::NotShared);
    assert_eq!(show_ticket(&daemon, &guest, late.secret, MAJOR).await, refused);
    assert_eq!(closed(&daemon.dial(&guest, ALPN).await).await.0, CloseCode::NotPaired);
    daemon.stop().await;
}

#[tokio::test]
async fn a_pairing_for_a_time_ends_by_itself() {
    let guest = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[]).await;
    redeem(&daemon, &guest, ticket(&daemon, None, SECOND).await).await;
    let (connection, _tx, _rx) = daemon.link(&guest).await;
    assert_eq!(closed(&connection).await.0, CloseCode::Forgotten);
    assert_eq!(closed(&daemon.dial(&guest, ALPN).await).await.0, CloseCode::NotPaired);

    // One that is paired again in time, for good, stays.
    redeem(&daemon, &guest, ticket(&daemon, None, HOUR).await).await;
    redeem(&daemon, &guest, ticket(&daemon, None, 0).await).await;
    let last = daemon.seen.borrow().last().map(|view| view.until);
    assert_eq!(last, Some(0));
    daemon.serves(&guest).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_pairing_that_ended_while_the_daemon_was_stopped_is_over() {
    let (guest, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let over = PeerRecord { until: 1, ..record(&guest, None) };
    let daemon = Daemon::start(&[over, PeerRecord { label: "friend".to_owned(), ..record(&friend, None) }]).await;
    assert_eq!(closed(&daemon.dial(&guest, ALPN).await).await.0, CloseCode::NotPaired);
    daemon.serves(&friend).await;
    // The engine has forgotten it, or is about to.
    let forgotten = async || {
        while !matches!(
            daemon.engine.set_label(PeerId::from(guest.id()), String::new()).await,
            Err(Error::PeerUnknown(_))
        ) {
            tokio::task::yield_now().await;
        }
    };
    must("it is forgotten", forgotten()).await;
    daemon.stop().await;
}
