//! What `p2pusb monitor` and `p2pusb status --watch` write while a daemon changes, goes and comes back. The other end is
//! no daemon but one that answers and signals as this test says.

// The helpers belong to the tests: what they don't expect is a failure.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test uses some of it.
mod common;

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use common::{PrivateBus, p2pusb};
use futures_lite::StreamExt as _;
use p2pusb_dbus::{
    names::{BUS_NAME, ROOT_PATH, interface},
    peer_path,
};
use serde_json::Value;
use zbus::{Connection, Message, MessageStream, Variant, connection::Builder, message::Type};

const WORKSHOP: &str = "8f0c6a1d2b3e4f50617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";

type Properties = HashMap<&'static str, Variant<'static>>;

fn peer(state: &'static str) -> Properties {
    Properties::from([("EndpointId", WORKSHOP.into()), ("Label", "workshop".into()), ("State", state.into())])
}

/// One that owns the daemon's name and knows one peer.
async fn daemon(bus: &PrivateBus) -> Connection {
    let connection = Builder::address(bus.address.as_str()).build().await.unwrap();
    let mut calls = MessageStream::from(&connection);
    let answering = connection.clone();
    tokio::spawn(async move {
        while let Some(Ok(call)) = calls.next().await {
            if call.message_type() == Type::MethodCall {
                let header = call.header();
                let reply = Message::method_return(&header);
                let reply = match header.member().unwrap().as_str() {
                    "GetManagedObjects" => reply.build(&HashMap::from([(
                        peer_path(WORKSHOP),
                        HashMap::from([(interface::PEER, peer("offline"))]),
                    )])),
                    _ => reply.build(&Properties::from([("Version", "0.1.0".into()), ("State", "running".into())])),
                };
                answering.send(&reply.unwrap()).await.unwrap();
            }
        }
    });
    connection.request_name(BUS_NAME).await.unwrap();
    connection
}

/// The running program, killed when the test ends.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    fn start(bus: &PrivateBus, arguments: &[&str]) -> Self {
        let mut child = p2pusb(&bus.address).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self(child, lines)
    }

    async fn line(self) -> (Self, String) {
        let read = move || {
            let Self(child, mut lines) = self;
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            (Self(child, lines), line)
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// The next lines, each as event, kind, name and what has changed.
    async fn events<const N: usize>(mut self) -> (Self, [String; N]) {
        let mut events = Vec::new();
        for _ in 0..N {
            let line;
            (self, line) = self.line().await;
            let json: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(json["time_usec"].as_u64().unwrap() > 0);
            let text = |name: &str| json[name].as_str().unwrap().to_owned();
            let changed: Vec<_> =
                json["changed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            events.push(format!("{} {} {} {}", text("event"), text("kind"), text("name"), changed.join(",")));
        }
        (self, events.try_into().unwrap())
    }
}

#[tokio::test]
async fn monitor_tells_what_changes_and_follows_the_daemon() {
    let bus = PrivateBus::start();
    let monitor = Running::start(&bus, &["monitor", "--json"]);
    let (monitor, events) = monitor.events().await;
    assert_eq!(events, ["stopped daemon p2pusbd "]);

    let first = daemon(&bus).await;
    let (monitor, events) = monitor.events().await;
    assert_eq!(events, ["started daemon p2pusbd ", "present daemon p2pusbd 0.1.0 ", "present peer workshop "]);

    let path = peer_path(WORKSHOP);
    let signal = |member, body: Properties| {
        let connection = first.clone();
        let path = path.clone();
        async move {
            let properties = "org.freedesktop.DBus.Properties";
            let body = (interface::PEER, body, Vec::<String>::new());
            connection.emit_signal(None::<&str>, &path, properties, member, &body).await.unwrap();
        }
    };
    signal("PropertiesChanged", Properties::from([("State", "online".into())])).await;
    let (monitor, events) = monitor.events().await;
    assert_eq!(events, ["changed peer workshop state"]);

    // Somebody else may say what they like.
    let stranger = Builder::address(bus.address.as_str()).build().await.unwrap();
    let lie = (interface::PEER, Properties::from([("State", "refused".into())]), Vec::<String>::new());
    stranger
        .emit_signal(None::<&str>, &path, "org.freedesktop.DBus.Properties", "PropertiesChanged", &lie)
        .await
        .unwrap();

    let objects = "org.freedesktop.DBus.ObjectManager";
    let removed = (&path, vec![interface::PEER]);
    first.emit_signal(None::<&str>, ROOT_PATH, objects, "InterfacesRemoved", &removed).await.unwrap();
    let added = (&path, HashMap::from([(interface::PEER, peer("connecting"))]));
    first.emit_signal(None::<&str>, ROOT_PATH, objects, "InterfacesAdded", &added).await.unwrap();
    let (monitor, events) = monitor.events().await;
    assert_eq!(events, ["gone peer workshop ", "appeared peer workshop "]);

    first.close().await.unwrap();
    let (monitor, events) = monitor.events().await;
    assert_eq!(events, ["stopped daemon p2pusbd "]);
    let _second = daemon(&bus).await;
    let (mut monitor, events) = monitor.events().await;
    assert_eq!(events, ["started daemon p2pusbd ", "present daemon p2pusbd 0.1.0 ", "present peer workshop "]);
    monitor.0.kill().unwrap();
    monitor.0.wait().unwrap();
}

#[tokio::test]
async fn whoever_stops_reading_ends_it_without_a_word() {
    let bus = PrivateBus::start();
    let daemon = daemon(&bus).await;
    for arguments in [&["monitor", "--json"][..], &["status", "--watch"], &["status", "--watch", "--json"]] {
        let (running, line) = Running::start(&bus, arguments).line().await;
        assert!(!line.is_empty());
        let Running(mut child, lines) = running;
        drop(lines);
        // A watched status writes again by itself, the monitor when something happens.
        let changed =
            (interface::PEER, Properties::from([("Label", arguments.join(" ").into())]), Vec::<String>::new());
        let properties = "org.freedesktop.DBus.Properties";
        daemon.emit_signal(None::<&str>, peer_path(WORKSHOP), properties, "PropertiesChanged", &changed).await.unwrap();
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}
