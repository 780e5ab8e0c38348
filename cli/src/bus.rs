//! The connection to the daemon: one look at everything it knows, and calls that change something.

use std::time::Duration;

use p2pusb_dbus::names::{BUS_NAME, ROOT_PATH, interface};
use serde::Serialize;
use tokio::time::timeout;
use zbus::{
    Connection, DynamicType, connection,
    fdo::ManagedObjects,
    proxy::{Builder, CacheProperties, MethodFlags, Proxy},
    wire::DynamicDeserialize,
};

use crate::{
    exit::Failure,
    pkttyagent::Pkttyagent,
    progress,
    snapshot::{Properties, Snapshot},
};

/// Reading takes the daemon no work, so an answer that takes longer than this does not come. It allows for the
/// bus to start the daemon.
pub(crate) const READ_MAX: Duration = Duration::from_secs(30);

/// A connection to the system bus.
#[derive(Debug)]
pub(crate) struct Bus {
    connection: Connection,
    may_ask: bool,
    agent: Option<Pkttyagent>,
}

impl Bus {
    /// Connect. Unless `no_ask_password`, calls may have polkit ask for a password.
    pub(crate) async fn connect(no_ask_password: bool) -> Result<Self, Failure> {
        let connection = timeout(READ_MAX, connection::Builder::system().build())
            .await
            .map_err(|_| Failure::NoAnswer)?
            .map_err(Failure::NoBus)?;
        Ok(Self { connection, may_ask: !no_ask_password, agent: None })
    }

    /// Whether whoever runs this may be asked for something.
    pub(crate) fn may_ask(&self) -> bool {
        self.may_ask
    }

    /// The connection, to listen on.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// An object of the daemon.
    pub(crate) async fn proxy<'a>(&self, path: &'a str, interface: &'static str) -> Result<Proxy<'a>, Failure> {
        Builder::new(&self.connection)
            .destination(BUS_NAME)
            .path(path)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(Failure::from_call)
    }

    /// Everything that the daemon knows. It is started where it is enabled and does not run.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Failure> {
        self.read(MethodFlags::empty()).await
    }

    /// Everything that the daemon knows, if it runs.
    pub(crate) async fn look(&self) -> Result<Snapshot, Failure> {
        self.read(MethodFlags::NO_AUTO_START).await
    }

    async fn read(&self, flags: MethodFlags) -> Result<Snapshot, Failure> {
        let read = async {
            let objects = self.proxy(ROOT_PATH, "org.freedesktop.DBus.ObjectManager").await?;
            let root = self.proxy(ROOT_PATH, "org.freedesktop.DBus.Properties").await?;
            // GetManagedObjects tells of the objects below the root only.
            let (objects, manager) = futures_lite::future::try_zip(
                objects.call_with_flags::<_, _, ManagedObjects>("GetManagedObjects", flags, &()),
                root.call_with_flags::<_, _, Properties>("GetAll", flags, &(interface::MANAGER,)),
            )
            .await
            .map_err(Failure::from_call)?;
            Ok(Snapshot::read(&objects.unwrap_or_default(), &manager.unwrap_or_default()))
        };
        let read = async { timeout(READ_MAX, read).await.unwrap_or(Err(Failure::NoAnswer)) };
        progress::during("Waiting for p2pusbd", false, read).await
    }

    /// Call a method that changes something. It takes as long as the work does; `what` says what that is.
    pub(crate) async fn call<B, R>(
        &mut self,
        what: &str,
        path: &str,
        interface: &'static str,
        method: &'static str,
        body: &B,
    ) -> Result<R, Failure>
    where
        B: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let mut flags = MethodFlags::empty();
        if self.may_ask {
            flags |= MethodFlags::ALLOW_INTERACTIVE_AUTH;
            if self.agent.is_none() {
                self.agent = Pkttyagent::start().await;
            }
        }
        let proxy = self.proxy(path, interface).await?;
        let call = proxy.call_with_flags(method, flags, body);
        progress::during(what, self.agent.is_some(), call)
            .await
            .map_err(Failure::from_call)?
            // Only a call that wants no reply goes without one.
            .ok_or(Failure::Bus(zbus::Error::InvalidReply))
    }
}
