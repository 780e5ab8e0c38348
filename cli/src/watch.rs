//! What the daemon knows, kept up to date by its signals, through restarts of the daemon as well.
//!
//! Everything comes in over one stream of messages, answers included, so its order is the daemon's: what was signalled
//! before an answer is in that answer.

use std::collections::{HashMap, VecDeque};

use futures_lite::StreamExt as _;
use p2pusb_dbus::names::{BUS_NAME, ROOT_PATH, interface};
use serde::Serialize;
use tokio::time::timeout;
use zbus::{
    Connection, DynamicType, Message, MessageStream, OwnedObjectPath, OwnedVariant,
    fdo::{DBusProxy, ManagedObjects},
    message::{Flags, Type},
    names::OwnedInterfaceName,
};

use crate::{
    bus::READ_MAX,
    exit::Failure,
    snapshot::{Properties, Snapshot},
};

const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What is to be heard: everything that the daemon signals, and its coming and going.
const RULES: [&str; 2] = [
    "type='signal',sender='org.p2pusb1',path_namespace='/org/p2pusb1'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.p2pusb1'",
];

/// What has happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The daemon is there, and everything has been read.
    Started,
    /// The daemon is gone, and everything with it.
    Stopped,
    /// Something is different.
    Changed,
}

/// A daemon that is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    connection: Connection,
    messages: MessageStream,
    /// The connection that is the daemon, while there is one.
    owner: Option<String>,
    objects: ManagedObjects,
    manager: Properties,
    /// What was heard while an answer was waited for.
    waiting: VecDeque<Message>,
}

impl Watch {
    /// Starts to listen. Does not start the daemon.
    pub(crate) async fn start(connection: &Connection) -> Result<Self, Failure> {
        let messages = MessageStream::from(connection);
        let dbus = DBusProxy::new(connection).await.map_err(Failure::from_call)?;
        for rule in RULES {
            let rule = zbus::MatchRule::try_from(rule).map_err(Failure::Bus)?;
            dbus.add_match_rule(rule).await.map_err(|error| Failure::from_call(error.into()))?;
        }
        let name = zbus::names::BusName::from_static_str(BUS_NAME).map_err(Failure::Bus)?;
        let owner = dbus.get_name_owner(name).await.ok().map(|name| name.to_string());
        Ok(Self {
            connection: connection.clone(),
            messages,
            owner,
            objects: HashMap::new(),
            manager: Properties::new(),
            waiting: VecDeque::new(),
        })
    }

    /// Everything as it is now; nothing where there is no daemon.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::read(&self.objects, &self.manager)
    }

    /// Reads everything, if there is a daemon.
    pub(crate) async fn look(&mut self) -> Result<Step, Failure> {
        self.objects = HashMap::new();
        self.manager = Properties::new();
        self.waiting.clear();
        if self.owner.is_none() {
            return Ok(Step::Stopped);
        }
        let look = async {
            let objects = self.ask(OBJECT_MANAGER, "GetManagedObjects", &()).await?;
            // All of this is in the answer already.
            self.waiting.clear();
            self.objects = objects.body().deserialize().map_err(Failure::Bus)?;
            let manager = self.ask(PROPERTIES, "GetAll", &(interface::MANAGER,)).await?;
            self.manager = manager.body().deserialize().map_err(Failure::Bus)?;
            Ok(Step::Started)
        };
        match timeout(READ_MAX, look).await.unwrap_or(Err(Failure::NoAnswer)) {
            // It went away meanwhile; the bus tells.
            Err(Failure::NoDaemon(_) | Failure::DaemonEnded) => Ok(Step::Stopped),
            other => other,
        }
    }

    /// Waits until something happens.
    pub(crate) async fn next(&mut self) -> Result<Step, Failure> {
        loop {
            let message = match self.waiting.pop_front() {
                Some(message) => message,
                None => self.receive().await?,
            };
            match self.take(&message) {
                Some(Step::Started) => return self.look().await,
                Some(step) => return Ok(step),
                None => {}
            }
        }
    }

    async fn receive(&mut self) -> Result<Message, Failure> {
        let closed =
            || Failure::NoBus(zbus::Error::InputOutput(std::io::Error::other("it has closed the connection").into()));
        self.messages.next().await.ok_or_else(closed)?.map_err(Failure::from_call)
    }

    /// Calls the daemon; what is heard before the answer waits.
    async fn ask<B: Serialize + DynamicType>(
        &mut self,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Result<Message, Failure> {
        let call = || -> zbus::Result<Message> {
            Message::method_call(ROOT_PATH, member)
                .destination(BUS_NAME)
                .interface(interface)
                .with_flags(Flags::NO_AUTO_START)
                .build(body)
        };
        let call = call().map_err(Failure::Bus)?;
        self.connection.send(&call).await.map_err(Failure::from_call)?;
        let serial = call.header().primary().serial_num();
        loop {
            let message = self.receive().await?;
            if message.header().reply_serial() != Some(serial) {
                self.waiting.push_back(message);
            } else if message.message_type() == Type::Error {
                return Err(Failure::from_call(message.into()));
            } else {
                return Ok(message);
            }
        }
    }

    /// What a message means for what is known.
    fn take(&mut self, message: &Message) -> Option<Step> {
        if message.message_type() != Type::Signal {
            return None;
        }
        let header = message.header();
        let (sender, member) = (header.sender()?.to_string(), header.member()?.to_string());
        let body = message.body();
        if sender == "org.freedesktop.DBus" && member == "NameOwnerChanged" {
            let (name, _, owner): (String, String, String) = body.deserialize().ok()?;
            if name != BUS_NAME {
                return None;
            }
            self.owner = (!owner.is_empty()).then_some(owner);
            self.objects = HashMap::new();
            self.manager = Properties::new();
            return Some(if self.owner.is_some() { Step::Started } else { Step::Stopped });
        }
        if Some(&sender) != self.owner.as_ref() {
            return None;
        }
        match (header.interface()?.as_str(), member.as_str()) {
            (OBJECT_MANAGER, "InterfacesAdded") => {
                let (path, interfaces): (OwnedObjectPath, HashMap<OwnedInterfaceName, Properties>) =
                    body.deserialize().ok()?;
                self.objects.entry(path).or_default().extend(interfaces);
            }
            (OBJECT_MANAGER, "InterfacesRemoved") => {
                let (path, interfaces): (OwnedObjectPath, Vec<OwnedInterfaceName>) = body.deserialize().ok()?;
                let object = self.objects.get_mut(&path)?;
                object.retain(|name, _| !interfaces.contains(name));
                if object.is_empty() {
                    self.objects.remove(&path);
                }
            }
            (PROPERTIES, "PropertiesChanged") => {
                let (name, changed, _): (OwnedInterfaceName, HashMap<String, OwnedVariant>, Vec<String>) =
                    body.deserialize().ok()?;
                let path = header.path()?;
                let properties = if path.as_str() == ROOT_PATH {
                    &mut self.manager
                } else {
                    self.objects.get_mut(&OwnedObjectPath::from(path.to_owned()))?.get_mut(&name)?
                };
                properties.extend(changed);
            }
            _ => return None,
        }
        Some(Step::Changed)
    }
}
