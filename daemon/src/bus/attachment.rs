//! `org.p2pusb1.Attachment`

use std::collections::HashMap;

use p2pusb_dbus::{MethodError, names::action, path};
use zbus::{OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{context::Context, options::Options, paths, shown::Shown};
use crate::engine::view::AttachmentView;

#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) context: Context,
    pub(super) view: Shown<AttachmentView>,
}

#[interface(name = "org.p2pusb1.Attachment", introspection_docs = false)]
impl Attachment {
    async fn detach(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        let view = self.view.now();
        let peer = super::peer::label(server, view.peer).await;
        let details = [("device", view.product.as_str()), ("peer", &peer)];
        self.context.authorize_for(&header, view.owner_uid, action::ATTACH_DEVICE, &details).await?;
        Options::new(options).done()?;
        let result = self.context.engine.detach(view.id).await;
        self.context.settled(result).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn remote_device(&self) -> OwnedObjectPath {
        let view = self.view.now();
        path::remote_device_path(&view.peer.to_string(), &view.remote_id)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn peer(&self) -> OwnedObjectPath {
        paths::peer(self.view.now().peer)
    }

    #[zbus(property)]
    fn product(&self) -> String {
        self.view.now().product.clone()
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.view.now().state
    }

    #[zbus(property)]
    fn last_error(&self) -> String {
        self.view.now().last_error.clone()
    }

    #[zbus(property)]
    fn local_bus_path(&self) -> String {
        self.view.now().local_bus_path.clone()
    }

    #[zbus(property)]
    fn local_device(&self) -> OwnedObjectPath {
        paths::or_none(self.view.now().local_device.as_ref(), paths::device)
    }

    #[zbus(property)]
    fn controller(&self) -> u32 {
        self.view.now().controller
    }

    #[zbus(property)]
    fn port(&self) -> u32 {
        self.view.now().port
    }

    #[zbus(property)]
    fn since(&self) -> u64 {
        self.view.now().since
    }

    #[zbus(property)]
    fn grace(&self) -> u32 {
        self.view.now().grace.seconds()
    }

    #[zbus(property)]
    fn reconnect_deadline(&self) -> u64 {
        self.view.now().lost_until
    }

    #[zbus(property)]
    fn ends_at(&self) -> u64 {
        self.view.now().ends_at
    }

    #[zbus(property)]
    fn keep(&self) -> bool {
        self.view.now().keep
    }

    #[zbus(property)]
    fn follow(&self) -> Vec<String> {
        self.view.now().follow.texts()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_in(&self) -> u64 {
        self.view.now().counters.bytes_in()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_out(&self) -> u64 {
        self.view.now().counters.bytes_out()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn urbs(&self) -> u64 {
        self.view.now().counters.urbs()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn urb_errors(&self) -> u64 {
        self.view.now().counters.errors()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn lost_usec(&self) -> u64 {
        self.view.now().counters.lost_usec()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn owner_uid(&self) -> u32 {
        self.view.now().owner_uid
    }
}
