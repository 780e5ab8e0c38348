//! `org.p2pusb1.Peer`

use std::collections::HashMap;

use p2pusb_dbus::{MethodError, names::action, path};
use zbus::{OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{
    context::Context,
    options::{self, Options},
    paths,
    shown::Shown,
};
use crate::{
    engine::view::PeerView,
    error::Error,
    peer::{PeerId, Trust},
    policy::Bandwidth,
};

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) context: Context,
    pub(super) view: Shown<PeerView>,
}

impl Peer {
    async fn authorize(&self, header: &Header<'_>, verb: &str) -> Result<u32, MethodError> {
        let details = [("verb", verb), ("peer", &self.view.now().label)];
        self.context.authorize(header, action::MANAGE_PEERS, &details).await
    }
}

/// What a peer is called; empty where it has just been forgotten.
pub(super) async fn label(server: &zbus::ObjectServer, id: PeerId) -> String {
    match server.interface::<_, Peer>(paths::peer(id)).await {
        Ok(peer) => peer.get().await.view.now().label.clone(),
        Err(_) => String::new(),
    }
}

#[interface(name = "org.p2pusb1.Peer", introspection_docs = false)]
impl Peer {
    async fn set_bandwidth(
        &self,
        #[zbus(header)] header: Header<'_>,
        bandwidth: u64,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header, "limit").await?;
        Options::new(options).done()?;
        let bandwidth = options::bandwidth(bandwidth)?;
        let result = self.context.engine.set_peer_bandwidth(self.view.now().id, bandwidth).await;
        self.context.settled(result).await
    }

    async fn forget(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header, "forget").await?;
        Options::new(options).done()?;
        let result = self.context.engine.forget(self.view.now().id).await;
        self.context.settled(result).await
    }

    async fn set_label(
        &self,
        #[zbus(header)] header: Header<'_>,
        label: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header, "rename").await?;
        Options::new(options).done()?;
        let result = self.context.engine.set_label(self.view.now().id, label).await;
        self.context.settled(result).await
    }

    async fn set_trust(
        &self,
        #[zbus(header)] header: Header<'_>,
        trust: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header, if trust == Trust::Blocked.as_str() { "block" } else { "unblock" }).await?;
        Options::new(options).done()?;
        let trust = trust.parse().map_err(Error::InvalidArgs)?;
        let result = self.context.engine.set_trust(self.view.now().id, trust).await;
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
    fn trust(&self) -> &'static str {
        self.view.now().trust.as_str()
    }

    #[zbus(property)]
    fn scope(&self) -> OwnedObjectPath {
        paths::or_none(self.view.now().scope.as_deref(), path::share_path)
    }

    #[zbus(property)]
    fn until(&self) -> u64 {
        self.view.now().until
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

    #[zbus(property)]
    fn bandwidth(&self) -> u64 {
        self.view.now().bandwidth.map_or(0, Bandwidth::bytes_per_second)
    }
}
