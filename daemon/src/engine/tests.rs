//! The engine on its own: what it makes of what is kept, and what it keeps. Nobody is at the other end of its links.

mod derived;
mod follow;
mod pins;
mod terms;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use p2pusb_protocol::InterfaceClass;
use tokio::sync::{mpsc, watch};

use super::{
    Engine, EngineHandle, Inputs,
    view::{AttachmentView, Change, Object, ObjectId, ShareView},
};
use crate::{
    config::{Grace, Network},
    error::Error,
    net::{self, Admission},
    peer::PeerId,
    policy::{Accept, Follows, Known, Rules},
    store::{AttachmentRecord, PeerRecord, ShareRecord, Store},
    usb::DeviceInfo,
};

const DISK: InterfaceClass = InterfaceClass { class: 8, subclass: 6, protocol: 0x50 };

fn follows(ids: &[&str]) -> Follows {
    ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>().try_into().unwrap()
}

/// What everybody can see.
type Seen = BTreeMap<ObjectId, Object>;

struct Running {
    engine: EngineHandle,
    seen: watch::Receiver<Seen>,
    /// Every object that was there and went.
    removed: watch::Receiver<Vec<ObjectId>>,
}

impl Running {
    /// An engine with what this folder holds.
    async fn start(store: &Store) -> Self {
        Self::start_with(store, Vec::new(), Rules::default()).await
    }

    /// The same, with these devices plugged in and these rules.
    async fn start_with(store: &Store, devices: Vec<DeviceInfo>, rules: Rules) -> Self {
        let network = Network { bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..Network::default() };
        let inputs = Inputs {
            store: store.clone(),
            endpoint: net::bind(store.identity().unwrap(), &network, None).await.unwrap(),
            admission: Admission::default(),
            runtime: "/nonexistent".into(),
            relay_mode: "none",
            kernel: crate::attach::kernel(),
            grace: Grace::default(),
            accept: Accept::default(),
            rules,
            people: crate::people::People::new().0,
            devices,
        };
        let (engine, handle, changes) = Engine::new(inputs).unwrap();
        let (tx, seen) = watch::channel(Seen::new());
        let (gone, removed) = watch::channel(Vec::new());
        tokio::spawn(collect(changes, tx, gone));
        tokio::spawn(engine.run());
        handle.sync().await;
        Self { engine: handle, seen, removed }
    }

    async fn attachments(&self) -> Vec<AttachmentView> {
        self.engine.sync().await;
        let attachment = |object: &Object| match object {
            Object::Attachment(view) => Some(view.clone()),
            _ => None,
        };
        self.seen.borrow().values().filter_map(attachment).collect()
    }

    async fn share(&self, id: &str) -> ShareView {
        self.engine.sync().await;
        match self.seen.borrow().get(&ObjectId::Share(id.to_owned())) {
            Some(Object::Share(view)) => view.clone(),
            other => panic!("{other:?}"),
        }
    }
}

async fn collect(mut changes: mpsc::Receiver<Change>, seen: watch::Sender<Seen>, gone: watch::Sender<Vec<ObjectId>>) {
    while let Some(change) = changes.recv().await {
        match change {
            Change::Set(object) => {
                let id = match &*object {
                    Object::Attachment(view) => ObjectId::Attachment(view.id),
                    Object::Share(view) => ObjectId::Share(view.id.clone()),
                    // Nobody looks at the others.
                    _ => continue,
                };
                seen.send_modify(|seen| drop(seen.insert(id, *object)));
            }
            Change::Removed(id) => {
                seen.send_modify(|seen| drop(seen.remove(&id)));
                gone.send_modify(|gone| gone.push(id));
            }
            Change::Barrier(reply) => reply.send(()).unwrap(),
        }
    }
}

fn peer() -> PeerId {
    iroh::SecretKey::from_bytes(&[9; 32]).public().into()
}

/// A folder in which one peer is known, of which these devices were attached.
fn kept(remote_ids: &[&str]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let endpoint_id = peer().to_string();
    let record = PeerRecord {
        endpoint_id: endpoint_id.clone(),
        label: "workshop".to_owned(),
        paired: 1,
        ..PeerRecord::default()
    };
    store.save_peer(&record).unwrap();
    for (number, remote_id) in remote_ids.iter().enumerate() {
        let record = AttachmentRecord {
            endpoint_id: endpoint_id.clone(),
            remote_id: (*remote_id).to_owned(),
            product: "Disk".to_owned(),
            grace: (number == 0).then(|| 200.try_into().unwrap()),
            owner_uid: 1000,
            known: Known::new(0x0781, 0x5567, &[DISK]),
            follow: follows(&["0781:1234"]),
        };
        store.save_attachment(&record).unwrap();
    }
    (folder, store)
}

fn wanted(store: &Store) -> Vec<String> {
    let mut ids: Vec<_> = store.attachments().unwrap().into_iter().map(|record| record.remote_id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn what_an_earlier_process_had_attached_waits_from_process_to_process() {
    let (_folder, store) = kept(&["0000000a", "0000000b"]);
    for _ in 0..2 {
        let running = Running::start(&store).await;
        let mut attachments = running.attachments().await;
        attachments.sort_by(|a, b| a.remote_id.cmp(&b.remote_id));
        let told: Vec<_> = attachments
            .iter()
            .map(|view| (view.remote_id.as_str(), view.state, view.last_error.as_str(), view.grace.seconds()))
            .collect();
        assert_eq!(told, [("0000000a", "waiting", "stopped", 200), ("0000000b", "waiting", "stopped", 60)]);
        for view in attachments {
            assert_eq!((view.peer, view.product.as_str(), view.owner_uid), (peer(), "Disk", 1000));
            assert_eq!((view.keep, view.local_bus_path.as_str(), view.since, view.lost_until), (true, "", 0, 0));
        }
        running.engine.shutdown().await;
        assert_eq!(wanted(&store), ["0000000a", "0000000b"]);
    }
}

#[tokio::test]
async fn detaching_what_waits_ends_it_for_the_next_process_too() {
    let (_folder, store) = kept(&["0000000a", "0000000b"]);
    let running = Running::start(&store).await;
    let first = running.attachments().await.into_iter().find(|view| view.remote_id == "0000000a").unwrap();
    running.engine.detach(first.id).await.unwrap();
    assert_eq!(wanted(&store), ["0000000b"]);
    let left: Vec<_> = running.attachments().await.into_iter().map(|view| view.remote_id).collect();
    assert_eq!(left, ["0000000b"]);
    assert!(matches!(running.engine.detach(first.id).await, Err(Error::NotAttached(_))));
    running.engine.shutdown().await;
    assert_eq!(Running::start(&store).await.attachments().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_wanted_of_a_peer_that_is_forgotten() {
    let (_folder, store) = kept(&["0000000a"]);
    let running = Running::start(&store).await;
    running.engine.forget(peer()).await.unwrap();
    assert_eq!(running.attachments().await.len(), 0);
    assert_eq!(wanted(&store), [""; 0]);
    running.engine.shutdown().await;
}

#[tokio::test]
async fn what_was_wanted_of_a_peer_that_is_not_there_is_dropped() {
    let (_folder, store) = kept(&["0000000a"]);
    store.remove_peer(&peer().to_string()).unwrap();
    let running = Running::start(&store).await;
    assert_eq!(running.attachments().await.len(), 0);
    assert_eq!(wanted(&store), [""; 0]);
}

#[tokio::test]
async fn new_settings_count_for_what_has_no_grace_time_of_its_own() {
    let (_folder, store) = kept(&["0000000a", "0000000b"]);
    for (id, grace) in [("0000000c", None), ("0000000d", Some(Grace::try_from(5).unwrap()))] {
        let (stable_id, product) = (format!("stable {id}"), "Disk".to_owned());
        let id = id.to_owned();
        let record = ShareRecord {
            id,
            stable_id,
            product,
            peers: Vec::new(),
            force: false,
            grace,
            terms: Default::default(),
            owner_uid: 0,
            paused: false,
            follows: Follows::default(),
            port: None,
            pin: false,
        };
        store.save_share(&record).unwrap();
    }
    let running = Running::start(&store).await;
    running.engine.apply(Ok(toml::from_str("[session]\ngrace = 7").unwrap())).await;
    assert_eq!(running.share("0000000c").await.grace.seconds(), 7);
    assert_eq!(running.share("0000000d").await.grace.seconds(), 5);
    let waiting = running.attachments().await;
    let mut waiting: Vec<_> = waiting.iter().map(|view| (&view.remote_id[..], view.grace.seconds())).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, [("0000000a", 200), ("0000000b", 7)]);
    running.engine.shutdown().await;
}

#[tokio::test]
async fn a_share_has_the_grace_time_of_the_settings_until_it_is_given_its_own() {
    let (_folder, store) = kept(&[]);
    let record = ShareRecord {
        id: "00c0ffee".to_owned(),
        stable_id: "stable".to_owned(),
        product: "Disk".to_owned(),
        peers: Vec::new(),
        force: false,
        grace: None,
        terms: Default::default(),
        owner_uid: 0,
        paused: false,
        follows: Follows::default(),
        port: None,
        pin: false,
    };
    store.save_share(&record).unwrap();
    let running = Running::start(&store).await;
    assert_eq!(running.share("00c0ffee").await.grace, Grace::default());
    let five = Grace::try_from(5).unwrap();
    running.engine.set_share_grace("00c0ffee".to_owned(), five).await.unwrap();
    assert_eq!(running.share("00c0ffee").await.grace, five);
    let unknown = running.engine.set_share_grace("0badcafe".to_owned(), five).await;
    assert!(matches!(unknown, Err(Error::NotShared(_))), "{unknown:?}");
    running.engine.shutdown().await;
    assert_eq!(Running::start(&store).await.share("00c0ffee").await.grace, five);
    assert_eq!(store.shares().unwrap(), [ShareRecord { grace: Some(five), ..record }]);
}
