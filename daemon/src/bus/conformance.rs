//! The objects on the bus are what `dbus-interfaces/*.xml` says: no member more, none less, none different.
//!
//! Each object is served as the daemon serves it, by [`serve`] on a connection, and introspected over that
//! connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    sync::Arc,
};

use p2pusb_dbus::{names::interface, xml};
use p2pusb_protocol::Speed;
use tokio::sync::{mpsc, oneshot};
use zbus::{Connection, conn::Builder};
use zbus_xml::{Annotation, Arg, ArgDirection, Interface, Node};

use super::{Context, agents::Agents, mirror::QUIET, paths, serve};
use crate::{
    config::{Config, Grace, Network, Source},
    counters::Counters,
    diagnose::Diagnosis,
    engine::{
        Engine, Inputs,
        view::{
            AttachmentView, Change, DeviceFacts, DeviceView, ManagerView, Object, ObjectId, RemoteDeviceView, ShareView,
        },
    },
    net::{self, Admission},
    peer::PeerId,
    people::People,
    policy::{Accept, Authorizer, Follows, PeerNames, Terms},
    reload::Reload,
    store::{PeerRecord, Store},
};

const EMITS: &str = "org.freedesktop.DBus.Property.EmitsChangedSignal";

/// An interface of the project in a description. The root object has two, every other one.
fn interface_of(name: &str, text: &str) -> Interface<'static> {
    let node = Node::from_reader(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut ours: BTreeMap<_, _> = node
        .interfaces()
        .iter()
        .filter(|interface| interface.name().starts_with("org.p2pusb1"))
        .map(|interface| (interface.name().to_string(), interface.to_owned()))
        .collect();
    let found = ours.remove(name).unwrap_or_else(|| panic!("no {name}"));
    let root = [interface::MANAGER, interface::AGENT_MANAGER];
    assert!(ours.keys().all(|other| root.contains(&other.as_str()) && root.contains(&name)), "{name} beside {ours:?}");
    found
}

fn argument(arg: &Arg<'_>, default: ArgDirection) -> String {
    let direction = match arg.direction().unwrap_or(default) {
        ArgDirection::In => "in",
        ArgDirection::Out => "out",
    };
    let annotations = annotations(arg.annotations());
    format!("{direction} {} {}{annotations}", arg.name().unwrap_or("(no name)"), arg.ty())
}

fn arguments(args: &[Arg<'_>], default: ArgDirection) -> String {
    args.iter().map(|arg| argument(arg, default)).collect::<Vec<_>>().join(", ")
}

/// All annotations; the one that says what is the case anyway counts as none.
fn annotations<'a>(annotations: impl IntoIterator<Item = &'a Annotation<'a>>) -> String {
    let sorted: BTreeMap<_, _> = annotations
        .into_iter()
        .map(|annotation| (annotation.name(), annotation.value()))
        .filter(|annotation| *annotation != (EMITS, "true"))
        .collect();
    sorted.iter().map(|(name, value)| format!(" [{name}={value}]")).collect()
}

/// Every member of an interface, one line each.
fn members(interface: &Interface<'_>) -> BTreeSet<String> {
    let own = annotations(interface.annotations());
    let methods = interface.methods().map(|method| {
        let args = arguments(method.args(), ArgDirection::In);
        format!("method {}({args}){}", method.name(), annotations(method.annotations()))
    });
    let signals = interface.signals().map(|signal| {
        let args = arguments(signal.args(), ArgDirection::Out);
        format!("signal {}({args}){}", signal.name(), annotations(signal.annotations()))
    });
    let properties = interface.properties().map(|property| {
        let (name, ty, access) = (property.name(), property.ty(), property.access());
        format!("property {name} {ty} {access:?}{}", annotations(property.annotations()))
    });
    methods.chain(signals).chain(properties).chain([format!("interface{own}")]).collect()
}

fn facts() -> DeviceFacts {
    DeviceFacts {
        vendor_id: 1,
        product_id: 2,
        manufacturer: "Acme".to_owned(),
        product: "Disk".to_owned(),
        class: 0,
        speed: Speed::High,
        interfaces: Vec::new(),
    }
}

/// One object of each kind, but for the peer.
fn objects(peer: PeerId) -> Vec<Object> {
    let bus_path: crate::usb::BusPath = "1-1".parse().unwrap();
    vec![
        Object::Manager(ManagerView {
            state: "running",
            probing: false,
            accepting_peers: false,
            endpoint_id: peer,
            relay_mode: "none",
            discovered: vec![(peer, "desk".to_owned())],
            recently_ended: Vec::new(),
            problems: Vec::new(),
        }),
        Object::Device(DeviceView {
            bus_path: bus_path.clone(),
            sysfs: "/sys/devices/1-1".into(),
            stable_id: "stable".to_owned(),
            facts: facts(),
            state: "available",
            excluded: "",
            share: None,
        }),
        Object::Share(ShareView {
            id: "00c0ffee".to_owned(),
            device: Some(bus_path),
            stable_id: "stable".to_owned(),
            product: "Disk".to_owned(),
            peers: vec![peer],
            names: PeerNames::parse("desk"),
            terms: Arc::new(Terms::default()),
            follows: Follows::default(),
            origin: "udev",
            state: "available",
            queue: Vec::new(),
            claimed_by: None,
            grace: Grace::default(),
            lost_until: 0,
            owner_uid: 0,
            counters: Arc::new(Counters::default()),
            pin_protected: true,
        }),
        Object::RemoteDevice(RemoteDeviceView {
            peer,
            remote_id: "00c0ffee".to_owned(),
            facts: facts(),
            available: true,
            attachment: None,
        }),
        Object::Attachment(AttachmentView {
            id: 1,
            peer,
            remote_id: "00c0ffee".to_owned(),
            product: "Disk".to_owned(),
            state: "attached",
            last_error: String::new(),
            local_bus_path: "9-1".to_owned(),
            local_device: None,
            controller: 0,
            port: 0,
            since: 1,
            grace: Grace::default(),
            lost_until: 0,
            ends_at: 0,
            keep: true,
            follow: Follows::default(),
            owner_uid: 0,
            counters: Arc::new(Counters::default()),
        }),
    ]
}

/// A client of a daemon that shows one object of each kind; the id of the peer among them.
async fn client() -> (Connection, PeerId, tempfile::TempDir) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = Builder::unix_stream(theirs).server(zbus::Guid::generate()).p2p().build();
    let client = Builder::unix_stream(ours).p2p().build();
    let (server, client) = tokio::join!(server, client);
    let server = server.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let peer = iroh::SecretKey::from_bytes(&[9; 32]).public();
    let record =
        PeerRecord { endpoint_id: peer.to_string(), label: "workshop".to_owned(), paired: 1, ..PeerRecord::default() };
    store.save_peer(&record).unwrap();
    let network = Network { bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..Network::default() };
    let endpoint = net::bind(store.identity().unwrap(), &network, None).await.unwrap();
    let source = Source::new(folder.path().join("p2pusb.toml"), false);
    let diagnosis = Diagnosis::new(endpoint.clone(), source, Config::default(), store.clone());
    let inputs = Inputs {
        store,
        endpoint,
        admission: Admission::default(),
        runtime: folder.path().to_owned(),
        relay_mode: "none",
        kernel: crate::attach::kernel(),
        grace: Grace::default(),
        accept: Accept::default(),
        rules: Default::default(),
        people: People::new().0,
        devices: Vec::new(),
    };
    let (engine, handle, mut changes) = Engine::new(inputs).unwrap();
    tokio::spawn(engine.run());

    let (show, shown) = mpsc::channel(64);
    let context = Context {
        engine: handle,
        reload: Reload::new().0,
        diagnosis,
        authorizer: Authorizer::new(server.clone()),
        agents: Agents::default(),
    };
    tokio::spawn(serve(server, context, shown));
    for object in objects(peer.into()) {
        show.send(Change::Set(Box::new(object))).await.unwrap();
    }
    // What the engine shows of a peer can be had from the engine alone.
    loop {
        let change = changes.recv().await.unwrap();
        if matches!(&change, Change::Set(object) if matches!(**object, Object::Peer(_))) {
            show.send(change).await.unwrap();
            break;
        }
    }
    let (reply, answer) = oneshot::channel();
    show.send(Change::Barrier(reply)).await.unwrap();
    answer.await.unwrap();
    // The engine shows on, and so do the objects.
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            if show.send(change).await.is_err() {
                return;
            }
        }
    });
    (client.unwrap(), peer.into(), folder)
}

#[tokio::test]
async fn every_object_is_what_its_description_says() {
    let (client, peer, _folder) = client().await;
    let remote = "00c0ffee".to_owned();
    let objects = [
        (interface::MANAGER, ObjectId::Manager),
        (interface::AGENT_MANAGER, ObjectId::Manager),
        (interface::DEVICE, ObjectId::Device("1-1".parse().unwrap())),
        (interface::SHARE, ObjectId::Share(remote.clone())),
        (interface::PEER, ObjectId::Peer(peer)),
        (interface::REMOTE_DEVICE, ObjectId::RemoteDevice(peer, remote)),
        (interface::ATTACHMENT, ObjectId::Attachment(1)),
    ];
    assert_eq!(objects.each_ref().map(|(name, _)| *name), interface::SERVED);
    let mut differences = String::new();
    let text = |name: &str| xml::ALL.into_iter().find(|(other, _)| *other == name).unwrap().1;
    for (name, id) in objects {
        let introspectable = Some("org.freedesktop.DBus.Introspectable");
        let answer = client.call_method(None::<&str>, paths::of(&id), introspectable, "Introspect", &()).await.unwrap();
        let live: String = answer.body().deserialize().unwrap();
        let (live, written) = (members(&interface_of(name, &live)), members(&interface_of(name, text(name))));
        for line in written.difference(&live) {
            differences += &format!("\n{name}: only in the XML: {line}");
        }
        for line in live.difference(&written) {
            differences += &format!("\n{name}: only in the daemon: {line}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[tokio::test]
async fn everything_that_is_diagnosed_has_a_name_that_is_known() {
    use p2pusb_dbus::names::{ROOT_PATH, diagnosis};
    let (client, ..) = client().await;
    let diagnose = async |options: p2pusb_dbus::Options<'_>| {
        client.call_method(None::<&str>, ROOT_PATH, Some(interface::MANAGER), "Diagnose", &(options,)).await
    };
    let answer = diagnose(p2pusb_dbus::Options::new()).await.unwrap();
    let findings: Vec<(String, String, String)> = answer.body().deserialize().unwrap();
    let ids: BTreeSet<_> = findings.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(ids, diagnosis::ALL.into());
    for (id, state, detail) in &findings {
        assert!(["ok", "note", "problem"].contains(&state.as_str()) && !detail.is_empty(), "{id}");
    }
    let unknown = diagnose(p2pusb_dbus::Options::from([("deep", true.into())])).await;
    assert!(unknown.unwrap_err().to_string().contains("deep"));
}

/// The mirror keeps quiet about exactly those properties that are described so.
#[test]
fn what_changes_without_a_word_is_described_so() {
    let mut quiet = BTreeSet::new();
    for (name, text) in xml::ALL {
        for property in interface_of(name, text).properties() {
            if property.annotations().iter().any(|a| (a.name(), a.value()) == (EMITS, "false")) {
                quiet.insert(property.name().to_string());
            }
        }
    }
    assert_eq!(quiet, QUIET.map(str::to_owned).into());
}
