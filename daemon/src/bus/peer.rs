//! `org.p2pusb1.Peer`

use std::collections::HashMap;

use p2pusb_dbus::{MethodError, names::action};
use zbus::{OwnedVariant, interface, message::Header};

use super::{context::Context, options::Options, shown::Shown};
use crate::engine::view::PeerView;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) context: Context,
    pub(super) view: Shown<PeerView>,
}

#[interface(name = "org.p2pusb1.Peer", introspection_docs = false)]
impl Peer {
    async fn forget(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        let view = self.view.now();
        let details = [("verb", "forget"), ("peer", view.label.as_str())];
        self.context.authorize(&header, action::MANAGE_PEERS, &details).await?;
        Options::new(options).done()?;
        let result = self.context.engine.forget(view.id).await;
        self.context.settled(result).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn endpoint_id(&self) -> String {
        self.view.now().id.to_string()
    }

    #[zbus(property)]
    fn label(&self) -> String {
        self.view.now().label.clone()
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
    fn path(&self) -> &'static str {
        self.view.now().path
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn rtt_usec(&self) -> u64 {
        self.view.now().rtt().map_or(0, |rtt| rtt.as_micros() as u64)
    }

    #[zbus(property)]
    fn last_seen(&self) -> u64 {
        self.view.now().last_seen
    }
}
