//! The engine on its own: what it makes of what is kept, and what it keeps. Nobody is at the other end of its links.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::sync::{mpsc, watch};

use super::{
    Engine, EngineHandle, Inputs,
    view::{Change, Object, ObjectId, ShareView},
};
use crate::{
    config::{Grace, Network, Relay},
    error::Error,
    net::{self, Admission},
    store::{ShareRecord, Store},
};

/// What everybody can see.
type Seen = BTreeMap<ObjectId, Object>;

struct Running {
    engine: EngineHandle,
    seen: watch::Receiver<Seen>,
}

impl Running {
    /// An engine with what this folder holds.
    async fn start(store: &Store) -> Self {
        let network = Network { relay: Relay::None, bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))] };
        let inputs = Inputs {
            store: store.clone(),
            endpoint: net::bind(store.identity().unwrap(), &network, None).await.unwrap(),
            admission: Admission::default(),
            runtime: "/nonexistent".into(),
            relay_mode: "none",
            kernel: crate::attach::kernel(),
            grace: Grace::default(),
            devices: Vec::new(),
        };
        let (engine, handle, changes) = Engine::new(inputs).unwrap();
        let (tx, seen) = watch::channel(Seen::new());
        tokio::spawn(collect(changes, tx));
        tokio::spawn(engine.run());
        handle.sync().await;
        Self { engine: handle, seen }
    }

    async fn share(&self, id: &str) -> ShareView {
        self.engine.sync().await;
        match self.seen.borrow().get(&ObjectId::Share(id.to_owned())) {
            Some(Object::Share(view)) => view.clone(),
            other => panic!("{other:?}"),
        }
    }
}

async fn collect(mut changes: mpsc::Receiver<Change>, seen: watch::Sender<Seen>) {
    while let Some(change) = changes.recv().await {
        match change {
            Change::Set(object) => {
                let id = match &object {
                    Object::Share(view) => ObjectId::Share(view.id.clone()),
                    // Nobody looks at the others.
                    _ => continue,
                };
                seen.send_modify(|seen| drop(seen.insert(id, object)));
            }
            Change::Removed(id) => seen.send_modify(|seen| drop(seen.remove(&id))),
            Change::Barrier(reply) => reply.send(()).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_share_has_the_grace_time_of_the_settings_until_it_is_given_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let record = ShareRecord {
        id: "00c0ffee".to_owned(),
        stable_id: "stable".to_owned(),
        product: "Disk".to_owned(),
        peers: Vec::new(),
        force: false,
        grace: None,
        owner_uid: 0,
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
