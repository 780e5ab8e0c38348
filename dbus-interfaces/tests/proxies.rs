//! The proxies say what the XML says. Each is connected to a peer that knows nothing but the XML: it takes
//! only calls that the XML allows, and answers with values of exactly the XML's types.

// The helpers belong to the tests: what they don't expect is a failure.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::{BTreeSet, HashMap},
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{Arc, Mutex},
};

use futures_lite::StreamExt as _;
use p2pusb_dbus::{
    AgentManagerProxy, AgentProxy, AttachmentProxy, DeviceProxy, ManagerProxy, Options, PeerProxy, RemoteDeviceProxy,
    ShareProxy,
    names::{BUS_NAME, ROOT_PATH},
    xml,
};
use zbus::{Connection, Message, MessageStream, ObjectPath, Variant, conn::Builder, message::Type};
use zbus_xml::{ArgDirection, Interface};

/// What the other end has been asked for.
#[derive(Default)]
struct Asked {
    methods: BTreeSet<String>,
    gets: BTreeSet<String>,
}

/// Some value of this type.
fn value(signature: &str) -> Variant<'static> {
    match signature {
        "s" => "text".into(),
        "o" => ObjectPath::from_static_str("/").unwrap().into(),
        "b" => true.into(),
        "y" => 1u8.into(),
        "q" => 2u16.into(),
        "u" => 3u32.into(),
        "t" => 4u64.into(),
        "as" => vec!["text"].into(),
        "ao" => vec![ObjectPath::from_static_str("/").unwrap()].into(),
        "a(yyy)" => vec![(1u8, 2u8, 3u8)].into(),
        "a(ss)" => vec![("a", "b")].into(),
        "a(tsss)" => vec![(4u64, "a", "b", "c")].into(),
        other => panic!("the XML has a type that this test has no value for: {other}"),
    }
}

fn signature(interface: &Interface<'_>, method: &str, direction: ArgDirection) -> String {
    let method = interface
        .methods()
        .find(|m| m.name().as_str() == method)
        .unwrap_or_else(|| panic!("the XML has no method {method}"));
    method.args().iter().filter(|a| a.direction() == Some(direction)).map(|a| a.ty().to_string()).collect()
}

/// A body's signature, without the parentheses that make several arguments one structure.
fn body_signature(message: &Message) -> String {
    message.body().signature().to_string_no_parens()
}

/// The answer that the XML promises.
fn answer(interface: &Interface<'_>, call: &Message, asked: &Mutex<Asked>) -> Message {
    let header = call.header();
    let member = header.member().unwrap().to_string();
    let reply = Message::method_return(&header);
    match header.interface().unwrap().as_str() {
        "org.freedesktop.DBus.Properties" if member == "GetAll" => {
            let all: HashMap<String, Variant<'_>> =
                interface.properties().map(|p| (p.name().to_string(), value(&p.ty().to_string()))).collect();
            reply.build(&all).unwrap()
        }
        "org.freedesktop.DBus.Properties" if member == "Get" => {
            let (_, name): (String, String) = call.body().deserialize().unwrap();
            let property = interface
                .properties()
                .find(|p| p.name().as_str() == name)
                .unwrap_or_else(|| panic!("the XML has no property {name}"));
            let value = value(&property.ty().to_string());
            asked.lock().unwrap().gets.insert(name);
            reply.build(&value).unwrap()
        }
        name if name == interface.name().as_str() => {
            assert_eq!(body_signature(call), signature(interface, &member, ArgDirection::In), "{member}");
            let out = signature(interface, &member, ArgDirection::Out);
            asked.lock().unwrap().methods.insert(member);
            match out.as_str() {
                "" => reply.build(&()),
                "s" => reply.build(&"text"),
                "as" => reply.build(&vec!["text"]),
                "oh" => {
                    let (held, _) = UnixStream::pair().unwrap();
                    let guard = zbus::OwnedFd::from(std::os::fd::OwnedFd::from(held));
                    reply.build(&(ObjectPath::from_static_str(ROOT_PATH).unwrap(), guard))
                }
                "a(sss)" => reply.build(&vec![("a", "b", "c")]),
                "b" => reply.build(&true),
                "o" => reply.build(&ObjectPath::from_static_str(ROOT_PATH).unwrap()),
                other => panic!("the XML has a reply that this test has no value for: {other}"),
            }
            .unwrap()
        }
        // The proxy looks for the service before it trusts its cache; here, the other end is all there is.
        "org.freedesktop.DBus" if member == "GetNameOwner" => reply.build(&":1.1").unwrap(),
        other => panic!("called {other}.{member}"),
    }
}

/// A connection whose other end answers by the XML.
async fn connect(name: &str, xml: &str) -> (Connection, Arc<Mutex<Asked>>) {
    let interface = common::interface(name, xml);
    let asked = Arc::new(Mutex::new(Asked::default()));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = Builder::unix_stream(theirs).server(zbus::Guid::generate()).p2p().build();
    let client = Builder::unix_stream(ours).p2p().build();
    let (server, client) = tokio::join!(server, client);
    let (client, server) = (client.expect("a client"), server.expect("a server"));
    // The client sends nothing before the stream is there.
    let (mut calls, seen) = (MessageStream::from(&server), asked.clone());
    tokio::spawn(async move {
        while let Some(Ok(call)) = calls.next().await {
            if call.message_type() == Type::MethodCall {
                server.send(&answer(&interface, &call, &seen)).await.unwrap();
            }
        }
    });
    (client, asked)
}

/// Every property has been read with the right type, every method called with the right arguments, and
/// only those that announce no changes have been asked for one by one.
fn complete(name: &str, xml: &str, read: &[&str], asked: &Mutex<Asked>) {
    let interface = common::interface(name, xml);
    let asked = asked.lock().unwrap();
    let methods: BTreeSet<_> = interface.methods().map(|m| m.name().to_string()).collect();
    assert_eq!(asked.methods, methods, "{name}");
    let properties: BTreeSet<_> = interface.properties().map(|p| snake(p.name().as_str())).collect();
    assert_eq!(read.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), properties, "{name}");
    let uncached: BTreeSet<_> =
        interface.properties().filter(|p| common::emits(p) == "false").map(|p| p.name().to_string()).collect();
    assert_eq!(asked.gets, uncached, "{name}: what is not cached");
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    // Every proxy has a method path() already, which returns its object path.
    if out == "path" { "path_kind".to_owned() } else { out }
}

macro_rules! agrees {
    ($test:ident, $proxy:ident, $name:ident, $xml:ident, [$($property:ident)*], |$p:ident| $calls:block) => {
        #[tokio::test]
        async fn $test() {
            let name = p2pusb_dbus::names::interface::$name;
            let (connection, asked) = connect(name, xml::$xml).await;
            let $p = $proxy::builder(&connection).destination(BUS_NAME).path(ROOT_PATH).build().await.unwrap();
            $($p.$property().await.unwrap_or_else(|error| panic!("{}: {error}", stringify!($property)));)*
            $calls
            complete(name, xml::$xml, &[$(stringify!($property)),*], &asked);
        }
    };
}

agrees!(
    manager,
    ManagerProxy,
    MANAGER,
    MANAGER,
    [version endpoint_id state probing accepting_peers relay_mode features discovered problems recently_ended],
    |p| {
        let options = Options::from([("force", true.into())]);
        p.create_ticket(&options).await.unwrap();
        p.add_peer("ticket", &options).await.unwrap();
        p.propose_pairing("id", &options).await.unwrap();
        p.set_accepting_peers(true, &options).await.unwrap();
        p.share_device(&ObjectPath::from_static_str("/a").unwrap(), &options).await.unwrap();
        p.reload(&options).await.unwrap();
        p.diagnose(&options).await.unwrap();
    }
);

agrees!(agent_manager, AgentManagerProxy, AGENT_MANAGER, AGENT_MANAGER, [], |p| {
    let agent = ObjectPath::from_static_str("/a").unwrap();
    p.register_agent(&agent, "confirm", &Options::new()).await.unwrap();
    p.unregister_agent(&agent, &Options::new()).await.unwrap();
});

agrees!(agent, AgentProxy, AGENT, AGENT, [], |p| {
    assert!(p.request_pairing("id", "label", "012345", &Options::new()).await.unwrap());
    let path = ObjectPath::from_static_str("/a").unwrap();
    assert!(p.request_attach(&path, &path, &Options::new()).await.unwrap());
    // Nobody answers it; the next answer comes after it.
    p.release().await.unwrap();
    p.cancel().await.unwrap();
});

agrees!(
    device,
    DeviceProxy,
    DEVICE,
    DEVICE,
    [
        stable_id bus_path sysfs_path vendor_id product_id manufacturer product class interfaces speed state excluded
        share
    ],
    |_p| {}
);

agrees!(
    share,
    ShareProxy,
    SHARE,
    SHARE,
    [device stable_id product peers peer_names expires once ask windows session_limit bandwidth follows pin_protected origin state claimed_by queue grace reconnect_deadline bytes_in bytes_out urbs urb_errors lost_usec owner_uid],
    |p| {
        p.revoke(&Options::new()).await.unwrap();
        p.set_grace(5, &Options::new()).await.unwrap();
        p.set_paused(true, &Options::new()).await.unwrap();
        p.set_bandwidth(10_000, &Options::new()).await.unwrap();
        let (pin, _) = UnixStream::pair().unwrap();
        p.set_pin(pin.as_fd().into(), &Options::new()).await.unwrap();
        p.clear_pin(&Options::new()).await.unwrap();
        p.set_peers(&[ObjectPath::from_static_str("/a").unwrap()], &Options::new()).await.unwrap();
    }
);

agrees!(
    peer,
    PeerProxy,
    PEER,
    PEER,
    [endpoint_id label trust scope until state last_error path_kind rtt_usec last_seen bandwidth],
    |p| {
        p.forget(&Options::new()).await.unwrap();
        p.set_label("desk", &Options::new()).await.unwrap();
        p.set_trust("blocked", &Options::new()).await.unwrap();
        p.set_bandwidth(10_000, &Options::new()).await.unwrap();
    }
);

agrees!(
    remote_device,
    RemoteDeviceProxy,
    REMOTE_DEVICE,
    REMOTE_DEVICE,
    [
        peer remote_id vendor_id product_id manufacturer product class interfaces speed available attachment
    ],
    |p| {
        p.attach(&Options::new()).await.unwrap();
        p.attach_with_guard(&Options::new()).await.unwrap();
    }
);

agrees!(
    attachment,
    AttachmentProxy,
    ATTACHMENT,
    ATTACHMENT,
    [
        remote_device peer product state last_error local_bus_path local_device controller port since grace
        reconnect_deadline ends_at keep follow bytes_in bytes_out urbs urb_errors lost_usec owner_uid
    ],
    |p| {
        p.detach(&Options::new()).await.unwrap();
    }
);

/// The values that [`value`] gives really have the types that they are asked for.
#[test]
fn the_test_values_have_the_types_of_the_xml() {
    for (name, text) in xml::ALL {
        for property in common::interface(name, text).properties() {
            let signature = property.ty().to_string();
            assert_eq!(value(&signature).value_signature().to_string(), signature);
        }
    }
}
