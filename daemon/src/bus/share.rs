//! `org.p2pusb1.Share`

use std::collections::HashMap;

use p2pusb_dbus::{MethodError, names::action};
use zbus::{OwnedFd, OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{
    context::Context,
    manager::peers,
    options::{self, Options},
    paths,
    shown::Shown,
};
use crate::{
    engine::view::ShareView,
    pin,
    policy::{Bandwidth, SessionLimit},
};

#[derive(Debug)]
pub(super) struct Share {
    pub(super) context: Context,
    pub(super) view: Shown<ShareView>,
}

impl Share {
    async fn authorize(&self, header: &Header<'_>) -> Result<u32, MethodError> {
        let view = self.view.now();
        let details = [("device", view.product.as_str())];
        self.context.authorize_for(header, view.owner_uid, action::SHARE_DEVICE, &details).await
    }
}

#[interface(name = "org.p2pusb1.Share", introspection_docs = false)]
impl Share {
    async fn revoke(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let result = self.context.engine.revoke(self.view.now().id.clone()).await;
        self.context.settled(result).await
    }

    async fn set_peers(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        peers: Vec<OwnedObjectPath>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let audience = self::peers(server, &peers).await?;
        let result = self.context.engine.set_share_peers(self.view.now().id.clone(), audience).await;
        self.context.settled(result).await
    }

    async fn set_grace(
        &self,
        #[zbus(header)] header: Header<'_>,
        grace: u32,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let result = self.context.engine.set_share_grace(self.view.now().id.clone(), options::grace(grace)?).await;
        self.context.settled(result).await
    }

    async fn set_paused(
        &self,
        #[zbus(header)] header: Header<'_>,
        paused: bool,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let result = self.context.engine.set_share_paused(self.view.now().id.clone(), paused).await;
        self.context.settled(result).await
    }

    async fn set_bandwidth(
        &self,
        #[zbus(header)] header: Header<'_>,
        bandwidth: u64,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let (share, bandwidth) = (self.view.now().id.clone(), options::bandwidth(bandwidth)?);
        let result = self.context.engine.set_share_bandwidth(share, bandwidth).await;
        self.context.settled(result).await
    }

    async fn set_pin(
        &self,
        #[zbus(header)] header: Header<'_>,
        pin: OwnedFd,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let engine = &self.context.engine;
        let hash = engine.hash_pin(pin::read(pin.into()).await?).await?;
        let result = engine.set_pin(self.view.now().id.clone(), hash).await;
        self.context.settled(result).await
    }

    async fn clear_pin(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.authorize(&header).await?;
        Options::new(options).done()?;
        let result = self.context.engine.clear_pin(self.view.now().id.clone()).await;
        self.context.settled(result).await
    }

    #[zbus(property)]
    fn device(&self) -> OwnedObjectPath {
        paths::or_none(self.view.now().device.as_ref(), paths::device)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn stable_id(&self) -> String {
        self.view.now().stable_id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn product(&self) -> String {
        self.view.now().product.clone()
    }

    #[zbus(property)]
    fn peers(&self) -> Vec<OwnedObjectPath> {
        self.view.now().peers.iter().copied().map(paths::peer).collect()
    }

    #[zbus(property)]
    fn peer_names(&self) -> Vec<String> {
        self.view.now().names.as_slice().to_vec()
    }

    #[zbus(property)]
    fn expires(&self) -> u64 {
        self.view.now().terms.expires.unwrap_or(0)
    }

    #[zbus(property)]
    fn once(&self) -> bool {
        self.view.now().terms.once
    }

    #[zbus(property)]
    fn windows(&self) -> Vec<String> {
        self.view.now().terms.windows.texts()
    }

    #[zbus(property)]
    fn session_limit(&self) -> u32 {
        self.view.now().terms.session_limit.map_or(0, SessionLimit::seconds)
    }

    #[zbus(property)]
    fn ask(&self) -> bool {
        self.view.now().terms.ask
    }

    #[zbus(property)]
    fn bandwidth(&self) -> u64 {
        self.view.now().terms.bandwidth.map_or(0, Bandwidth::bytes_per_second)
    }

    #[zbus(property)]
    fn follows(&self) -> Vec<String> {
        self.view.now().follows.texts()
    }

    #[zbus(property)]
    fn pin_protected(&self) -> bool {
        self.view.now().pin_protected
    }

    #[zbus(property)]
    fn origin(&self) -> &'static str {
        self.view.now().origin
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.view.now().state
    }

    #[zbus(property)]
    fn queue(&self) -> Vec<OwnedObjectPath> {
        self.view.now().queue.iter().copied().map(paths::peer).collect()
    }

    #[zbus(property)]
    fn claimed_by(&self) -> OwnedObjectPath {
        paths::or_none(self.view.now().claimed_by, paths::peer)
    }

    #[zbus(property)]
    fn grace(&self) -> u32 {
        self.view.now().grace.seconds()
    }

    #[zbus(property)]
    fn reconnect_deadline(&self) -> u64 {
        self.view.now().lost_until
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
