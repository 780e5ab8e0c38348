//! Shows on the bus what the engine publishes: objects come and go, properties change.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use p2pusb_dbus::names::ROOT_PATH;
use tokio::sync::mpsc;
use tracing::{debug, warn};
use zbus::{
    Connection, OwnedVariant, Variant,
    fdo::{ObjectManager, Properties},
    object_server::{Interface, SignalEmitter},
};

use super::{
    agent_manager::AgentManager, attachment::Attachment, context::Context, device::Device, manager::Manager, paths,
    peer::Peer, remote_device::RemoteDevice, share::Share, shown::Shown,
};
use crate::engine::view::{
    AttachmentView, Change, DeviceView, ManagerView, Object, ObjectId, PeerView, RemoteDeviceView, ShareView,
};

/// What is on the bus now.
enum Exported {
    Manager(Shown<ManagerView>),
    Device(Shown<DeviceView>),
    Share(Shown<ShareView>),
    Peer(Shown<PeerView>),
    RemoteDevice(Shown<RemoteDeviceView>),
    Attachment(Shown<AttachmentView>),
}

/// Shows everything that the engine says, until it says no more.
pub(crate) async fn serve(bus: Connection, context: Context, mut changes: mpsc::Receiver<Change>) -> zbus::Result<()> {
    let mut mirror = Mirror { bus, context, exported: BTreeMap::new() };
    let server = mirror.bus.object_server();
    server.at(ROOT_PATH, ObjectManager).await?;
    server.at(ROOT_PATH, AgentManager { context: mirror.context.clone() }).await?;
    while let Some(change) = changes.recv().await {
        match change {
            Change::Set(object) => mirror.set(*object).await?,
            Change::Removed(id) => mirror.remove(&id).await?,
            // Whoever asked may be gone; then nobody waits.
            Change::Barrier(reply) => drop(reply.send(())),
        }
    }
    Ok(())
}

struct Mirror {
    bus: Connection,
    context: Context,
    exported: BTreeMap<ObjectId, Exported>,
}

impl Mirror {
    async fn set(&mut self, object: Object) -> zbus::Result<()> {
        let context = || self.context.clone();
        let bus = &self.bus;
        macro_rules! show {
            ($id:expr, $variant:ident, $view:ident, $interface:expr) => {{
                let id = $id;
                match self.exported.get(&id) {
                    Some(Exported::$variant(shown)) => {
                        let path = paths::of(&id);
                        let interface = bus.object_server().interface::<_, $variant>(&path).await?;
                        let emitter = interface.signal_emitter();
                        let object = interface.get().await;
                        let before = object.get_all(bus.object_server(), bus, None, emitter).await?;
                        shown.replace($view);
                        let after = object.get_all(bus.object_server(), bus, None, emitter).await?;
                        announce::<$variant>(emitter, before, after).await?;
                    }
                    _ => {
                        let shown = Shown::new($view);
                        #[allow(clippy::redundant_closure_call)]
                        let object = ($interface)(shown.clone());
                        bus.object_server().at(paths::of(&id), object).await?;
                        self.exported.insert(id, Exported::$variant(shown));
                    }
                }
            }};
        }
        match object {
            Object::Manager(view) => {
                show!(ObjectId::Manager, Manager, view, |view| Manager { context: context(), view });
            }
            Object::Device(view) => {
                show!(ObjectId::Device(view.bus_path.clone()), Device, view, |view| Device { view });
            }
            Object::Share(view) => {
                show!(ObjectId::Share(view.id.clone()), Share, view, |view| Share { context: context(), view });
            }
            Object::Peer(view) => {
                show!(ObjectId::Peer(view.id), Peer, view, |view| Peer { context: context(), view });
            }
            Object::RemoteDevice(view) => {
                let id = ObjectId::RemoteDevice(view.peer, view.remote_id.clone());
                show!(id, RemoteDevice, view, |view| RemoteDevice { context: context(), view });
            }
            Object::Attachment(view) => {
                let id = ObjectId::Attachment(view.id);
                show!(id, Attachment, view, |view| Attachment { context: context(), view });
            }
        }
        Ok(())
    }

    async fn remove(&mut self, id: &ObjectId) -> zbus::Result<()> {
        let Some(exported) = self.exported.remove(id) else {
            debug!("{id:?} was not on the bus");
            return Ok(());
        };
        let path = paths::of(id);
        let server = self.bus.object_server();
        let removed = match exported {
            Exported::Manager(_) => server.remove::<Manager, _>(&path).await,
            Exported::Device(_) => server.remove::<Device, _>(&path).await,
            Exported::Share(_) => server.remove::<Share, _>(&path).await,
            Exported::Peer(_) => server.remove::<Peer, _>(&path).await,
            Exported::RemoteDevice(_) => server.remove::<RemoteDevice, _>(&path).await,
            Exported::Attachment(_) => server.remove::<Attachment, _>(&path).await,
        }?;
        if !removed {
            warn!("{path} was not on the bus");
        }
        Ok(())
    }
}

/// Properties that change without a word: see `EmitsChangedSignal` in dbus-interfaces/.
pub(super) const QUIET: [&str; 6] = ["RttUsec", "BytesIn", "BytesOut", "Urbs", "UrbErrors", "LostUsec"];

async fn announce<I: Interface>(
    emitter: &SignalEmitter<'_>,
    before: HashMap<String, OwnedVariant>,
    after: HashMap<String, OwnedVariant>,
) -> zbus::Result<()> {
    let changed: HashMap<&str, Variant<'_>> = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value) && !QUIET.contains(&name.as_str()))
        .map(|(name, value)| Ok((name.as_str(), Variant::try_from(value)?)))
        .collect::<zbus::Result<_>>()?;
    if changed.is_empty() {
        return Ok(());
    }
    Properties::properties_changed(emitter, I::name(), changed, Cow::Borrowed(&[])).await
}
