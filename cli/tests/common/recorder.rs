//! A daemon's place on a bus: a recorder with a fixed set of objects, one of each kind with all that it can say, and others
//! of which there is little to say.

use std::{
    collections::HashMap,
    fs::File,
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex},
};

use futures_lite::StreamExt as _;
use p2pusb_dbus::{
    attachment_path, device_path,
    names::{BUS_NAME, interface},
    peer_path, remote_device_path, share_path,
};
use tokio::task::JoinHandle;
use zbus::{
    Message, MessageStream, ObjectPath, OwnedObjectPath, Variant,
    connection::Builder,
    message::{Flags, Type},
};

use super::{PrivateBus, p2pusb, run};

pub(crate) const WORKSHOP: &str = "8f0c6a1d2b3e4f50617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";
pub(crate) const DESK: &str = "1111111111111111617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";
/// Nobody here is paired with this one.
const STRANGER: &str = "2222222222222222617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";

/// A remote device that asks for a PIN.
const TOKEN: &str = "0000000c";

type Properties = HashMap<&'static str, Variant<'static>>;
type Objects = HashMap<OwnedObjectPath, HashMap<&'static str, Properties>>;

/// A call as the recorder has seen it.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) member: String,
    /// The body, as zbus prints it.
    pub(crate) body: String,
    /// What came through the file descriptor for a PIN.
    pub(crate) pin: Option<String>,
    pub(crate) interactive: bool,
}

fn paths(list: &[OwnedObjectPath]) -> Variant<'static> {
    list.iter().map(|path| ObjectPath::from(path.clone()).into_owned()).collect::<Vec<_>>().into()
}

fn o(path: &OwnedObjectPath) -> Variant<'static> {
    ObjectPath::from(path.clone()).into_owned().into()
}

/// One thing of each kind.
fn objects() -> Objects {
    let mut all = Objects::new();
    let mut add = |path, interface, properties: Vec<(&'static str, Variant<'static>)>| {
        all.insert(path, HashMap::from([(interface, properties.into_iter().collect())]));
    };
    add(
        device_path("1-2"),
        interface::DEVICE,
        vec![
            ("BusPath", "1-2".into()),
            ("VendorId", 0x0403u16.into()),
            ("ProductId", 0x6001u16.into()),
            ("Product", "Serial".into()),
            ("Manufacturer", "FTDI".into()),
            ("Interfaces", vec![(0xffu8, 0u8, 0u8)].into()),
            ("State", "available".into()),
            ("Excluded", "".into()),
            ("Share", o(&share_path("00c0ffee"))),
        ],
    );
    add(
        device_path("usb1"),
        interface::DEVICE,
        vec![("BusPath", "usb1".into()), ("State", "excluded".into()), ("Excluded", "root-hub".into())],
    );
    add(
        share_path("00c0ffee"),
        interface::SHARE,
        vec![
            ("Device", o(&device_path("1-2"))),
            ("Product", "Serial".into()),
            ("State", "reconnecting".into()),
            ("ClaimedBy", o(&peer_path(DESK))),
            ("ReconnectDeadline", 1u64.into()),
            ("Peers", paths(&[peer_path(DESK), peer_path(STRANGER)])),
            ("PeerNames", vec!["desk"].into()),
            ("Windows", vec!["08:00-18:00"].into()),
            ("Follows", vec!["2e8a:0003"].into()),
            ("Queue", paths(&[peer_path(DESK)])),
        ],
    );
    add(share_path("0badcafe"), interface::SHARE, vec![("Product", "Webcam".into()), ("State", "waiting".into())]);
    add(peer_path(WORKSHOP), interface::PEER, vec![("EndpointId", WORKSHOP.into()), ("Label", "workshop".into())]);
    add(
        peer_path(DESK),
        interface::PEER,
        vec![
            ("EndpointId", DESK.into()),
            ("Label", "desk".into()),
            ("Scope", o(&share_path("00c0ffee"))),
            ("LastError", "it was refused".into()),
        ],
    );
    add(
        remote_device_path(WORKSHOP, "0000000a"),
        interface::REMOTE_DEVICE,
        vec![
            ("Peer", o(&peer_path(WORKSHOP))),
            ("RemoteId", "0000000a".into()),
            ("Product", "Disk".into()),
            ("Interfaces", vec![(8u8, 6u8, 0x50u8)].into()),
            ("Available", true.into()),
        ],
    );
    add(
        remote_device_path(WORKSHOP, "0000000b"),
        interface::REMOTE_DEVICE,
        vec![
            ("Peer", o(&peer_path(WORKSHOP))),
            ("RemoteId", "0000000b".into()),
            ("Product", "Camera".into()),
            ("Attachment", o(&attachment_path(1))),
        ],
    );
    add(
        remote_device_path(WORKSHOP, TOKEN),
        interface::REMOTE_DEVICE,
        vec![
            ("Peer", o(&peer_path(WORKSHOP))),
            ("RemoteId", TOKEN.into()),
            ("Product", "Token".into()),
            ("Available", true.into()),
        ],
    );
    for (number, bus_path, state, error) in [(1, "9-1", "reconnecting", ""), (2, "", "waiting", "peer-lost")] {
        add(
            attachment_path(number),
            interface::ATTACHMENT,
            vec![
                ("RemoteDevice", o(&remote_device_path(WORKSHOP, "0000000a"))),
                ("Peer", o(&peer_path(WORKSHOP))),
                ("Product", "Disk".into()),
                ("State", state.into()),
                ("ReconnectDeadline", 1u64.into()),
                ("LocalBusPath", bus_path.into()),
                ("Follow", vec!["2e8a:0003"].into()),
                ("LastError", error.into()),
            ],
        );
    }
    all
}

/// The daemon itself.
fn manager() -> Properties {
    Properties::from([
        ("Version", "0.1.0".into()),
        ("State", "running".into()),
        ("Problems", vec!["a file is damaged"].into()),
        ("Discovered", vec![(STRANGER, "somebody")].into()),
        ("RecentlyEnded", vec![(1u64, "workshop", "Disk", "detached")].into()),
    ])
}

/// Answer one call, and remember it if it changes something.
fn answer(call: &Message, seen: &Mutex<Vec<Call>>) -> Message {
    let header = call.header();
    let reply = Message::method_return(&header);
    let member = header.member().unwrap().to_string();
    if member == "GetManagedObjects" {
        return reply.build(&objects()).unwrap();
    }
    if member == "GetAll" {
        return reply.build(&manager()).unwrap();
    }
    let path = header.path().unwrap().to_string();
    let pin = pin_of(call);
    seen.lock().unwrap().push(Call {
        path: path.clone(),
        member: member.clone(),
        body: call.body().deserialize::<zbus::Structure<'_>>().unwrap().to_string(),
        pin: pin.clone(),
        interactive: header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH),
    });
    match member.as_str() {
        "CreateTicket" => reply.build(&"p2pusbticket"),
        "AddPeer" => reply.build(&peer_path(WORKSHOP)),
        "ShareDevice" if path_argument(call) == device_path("usb1") => {
            Message::error(&header, "org.p2pusb1.Error.DeviceExcluded").build(&"usb1 can't be shared: it is a root hub")
        }
        "ShareDevice" => reply.build(&share_path("00c0ffee")),
        "Reload" => reply.build(&vec!["network.relay"]),
        "Attach" | "AttachWithGuard" if path == remote_device_path(WORKSHOP, TOKEN).as_str() && pin.is_none() => {
            Message::error(&header, "org.p2pusb1.Error.PinRequired").build(&"Token of workshop asks for a PIN")
        }
        "Attach" => reply.build(&attachment_path(1)),
        "AttachWithGuard" => {
            let guard = OwnedFd::from(File::open("/dev/null").unwrap());
            reply.build(&(attachment_path(1), zbus::OwnedFd::from(guard)))
        }
        "Diagnose" => reply.build(&vec![("udp", "ok", "one port")]),
        "Detach" if path == attachment_path(2).as_str() => {
            Message::error(&header, "org.freedesktop.DBus.Error.AccessDenied").build(&"not authorized")
        }
        _ => reply.build(&()),
    }
    .unwrap()
}

fn path_argument(call: &Message) -> OwnedObjectPath {
    let (path, _): (OwnedObjectPath, HashMap<String, zbus::OwnedVariant>) = call.body().deserialize().unwrap();
    path
}

/// What comes through the file descriptor of a call, if it has one, up to its end.
fn pin_of(call: &Message) -> Option<String> {
    let from = call.data().fds().first()?.as_fd().try_clone_to_owned().unwrap();
    let mut pin = String::new();
    File::from(from).read_to_string(&mut pin).unwrap();
    Some(pin)
}

/// Begins to answer on a bus, for as long as the task runs.
pub(crate) async fn recorder(bus: &PrivateBus, seen: &Arc<Mutex<Vec<Call>>>) -> JoinHandle<()> {
    let connection = Builder::address(bus.address.as_str()).build().await.unwrap();
    let mut calls = MessageStream::from(&connection);
    connection.request_name(BUS_NAME).await.unwrap();
    let seen = seen.clone();
    tokio::spawn(async move {
        while let Some(Ok(call)) = calls.next().await {
            if call.message_type() == Type::MethodCall {
                connection.send(&answer(&call, &seen)).await.unwrap();
            }
        }
    })
}

/// Run the program against the recorder: how it ended, and what it has called.
pub(crate) async fn ask(arguments: &[&str]) -> ((i32, String, String), Vec<Call>) {
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    ask_by(move |address| run(p2pusb(address).args(arguments))).await
}

/// The same for a program that is run in another way, on the bus at the address.
pub(crate) async fn ask_by<T: Send + 'static>(run: impl FnOnce(&str) -> T + Send + 'static) -> (T, Vec<Call>) {
    let bus = PrivateBus::start();
    let seen = Arc::default();
    let recorder = recorder(&bus, &seen).await;
    let address = bus.address.clone();
    let ended = tokio::task::spawn_blocking(move || run(&address)).await.unwrap();
    recorder.abort();
    let calls = std::mem::take(&mut *seen.lock().unwrap());
    (ended, calls)
}
