//! `org.p2pusb1.Manager`

use std::{collections::HashMap, time::Duration};

use p2pusb_dbus::{
    MethodError,
    names::{
        ACCEPTING_DEFAULT_USEC, ACCEPTING_MAX_USEC, ACCEPTING_MIN_USEC, ACCESS_MAX_USEC, ACCESS_MIN_USEC,
        TICKET_LIFETIME_DEFAULT_USEC, TICKET_LIFETIME_MAX_USEC, TICKET_LIFETIME_MIN_USEC, action,
        option::{ACCESS_USEC, EXPIRES_USEC, FOLLOWS, FORCE, ONCE, PEERS, SHARE},
    },
    path,
};
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{agent_manager::caller, context::Context, options::Options, paths, shown::Shown};
use crate::{
    engine::{ShareWish, TicketWish, view::ManagerView},
    error::Error,
    peer::PeerId,
    usb::BusPath,
};

#[derive(Debug)]
pub(super) struct Manager {
    pub(super) context: Context,
    pub(super) view: Shown<ManagerView>,
}

/// The peers behind these paths.
pub(super) async fn peers(server: &zbus::ObjectServer, paths: &[OwnedObjectPath]) -> Result<Vec<PeerId>, MethodError> {
    let mut peers = Vec::with_capacity(paths.len());
    for path in paths {
        let unknown = || Error::PeerUnknown(path.to_string());
        let peer = server.interface::<_, super::peer::Peer>(path).await.map_err(|_| unknown())?;
        peers.push(peer.get().await.view.now().id);
    }
    Ok(peers)
}

#[interface(name = "org.p2pusb1.Manager", introspection_docs = false)]
impl Manager {
    #[zbus(out_args("ticket"))]
    async fn create_ticket(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<String, MethodError> {
        self.context.authorize(&header, action::MANAGE_PEERS, &[("verb", "invite")]).await?;
        let mut options = Options::new(options);
        let lifetime: u64 = options.take(EXPIRES_USEC)?.unwrap_or(TICKET_LIFETIME_DEFAULT_USEC);
        let share: Option<OwnedObjectPath> = options.take(SHARE)?;
        let access: Option<u64> = options.take(ACCESS_USEC)?;
        options.done()?;
        if !(TICKET_LIFETIME_MIN_USEC..=TICKET_LIFETIME_MAX_USEC).contains(&lifetime) {
            let (min, max) = (TICKET_LIFETIME_MIN_USEC, TICKET_LIFETIME_MAX_USEC);
            return Err(
                Error::InvalidArgs(format!("{EXPIRES_USEC} is {lifetime}; it must be from {min} to {max}")).into()
            );
        }
        if let Some(access) = access
            && !(ACCESS_MIN_USEC..=ACCESS_MAX_USEC).contains(&access)
        {
            let wrong = format!("{ACCESS_USEC} is {access}; it must be from {ACCESS_MIN_USEC} to {ACCESS_MAX_USEC}");
            return Err(Error::InvalidArgs(wrong).into());
        }
        let scope = match &share {
            None => None,
            Some(path) => Some(path::share_id(path).ok_or_else(|| Error::NotShared(path.to_string()))?.to_owned()),
        };
        let wish = TicketWish { lifetime_usec: lifetime, scope, access_usec: access.unwrap_or(0) };
        let result = self.context.engine.create_ticket(wish).await;
        self.context.settled(result).await
    }

    #[zbus(out_args("peer"))]
    async fn add_peer(
        &self,
        #[zbus(header)] header: Header<'_>,
        ticket: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<OwnedObjectPath, MethodError> {
        self.context.authorize(&header, action::MANAGE_PEERS, &[("verb", "pair")]).await?;
        Options::new(options).done()?;
        let result = self.context.engine.add_peer(ticket).await;
        Ok(paths::peer(self.context.settled(result).await?))
    }

    #[zbus(out_args("peer"))]
    async fn propose_pairing(
        &self,
        #[zbus(header)] header: Header<'_>,
        endpoint_id: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<OwnedObjectPath, MethodError> {
        self.context.authorize(&header, action::MANAGE_PEERS, &[("verb", "pair")]).await?;
        Options::new(options).done()?;
        let caller = caller(&header)?;
        if !self.context.agents.is_somebody_there(&caller) {
            return Err(Error::NobodyToAsk.into());
        }
        let result = self.context.engine.propose_pairing(endpoint_id, Some(caller)).await;
        Ok(paths::peer(self.context.settled(result).await?))
    }

    async fn set_accepting_peers(
        &self,
        #[zbus(header)] header: Header<'_>,
        accepting: bool,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.context.authorize(&header, action::MANAGE_PEERS, &[("verb", "pair")]).await?;
        let mut options = Options::new(options);
        let wait: u64 = options.take(EXPIRES_USEC)?.unwrap_or(ACCEPTING_DEFAULT_USEC);
        options.done()?;
        if !(ACCEPTING_MIN_USEC..=ACCEPTING_MAX_USEC).contains(&wait) {
            let (min, max) = (ACCEPTING_MIN_USEC, ACCEPTING_MAX_USEC);
            return Err(Error::InvalidArgs(format!("{EXPIRES_USEC} is {wait}; it must be from {min} to {max}")).into());
        }
        let result = self.context.engine.set_accepting(accepting.then(|| Duration::from_micros(wait))).await;
        self.context.settled(result).await
    }

    #[zbus(out_args("share"))]
    async fn share_device(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        device: ObjectPath<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<OwnedObjectPath, MethodError> {
        let bus_path = path::device_bus_path(device.as_str()).unwrap_or_default();
        let product = match server.interface::<_, super::device::Device>(&device).await {
            Ok(device) => device.get().await.view.now().facts.product.clone(),
            // Whoever may not ask does not hear that there is none.
            Err(_) => String::new(),
        };
        let mut options = Options::new(options);
        let action = if options.is_on(FORCE) { action::SHARE_DEVICE_SENSITIVE } else { action::SHARE_DEVICE };
        let uid = self.context.authorize(&header, action, &[("device", &product), ("bus-path", &bus_path)]).await?;
        let audience: Vec<OwnedObjectPath> = options.take(PEERS)?.unwrap_or_default();
        let force = options.take(FORCE)?.unwrap_or(false);
        let grace = options.take_grace()?;
        let terms = options.take_terms()?;
        let follows = options.take_follows(FOLLOWS)?;
        let pin = options.take_pin()?;
        options.done()?;
        if terms.once && !follows.is_empty() {
            let wrong =
                format!("{ONCE} ends the share when the device goes, so that it can't come back; leave out {FOLLOWS}");
            return Err(Error::InvalidArgs(wrong).into());
        }
        let bus_path: BusPath = bus_path.parse().map_err(|_| Error::DeviceGone(device.to_string()))?;
        let peers = peers(server, &audience).await?;
        let pin = match pin {
            Some(pin) => Some(self.context.engine.hash_pin(pin.read().await?).await?),
            None => None,
        };
        let wish = ShareWish { peers, force, grace, terms, follows, pin };
        let result = self.context.engine.share_device(bus_path, wish, uid).await;
        Ok(path::share_path(&self.context.settled(result).await?))
    }

    #[zbus(out_args("need_restart"))]
    async fn reload(
        &self,
        #[zbus(header)] header: Header<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<Vec<String>, MethodError> {
        self.context.authorize(&header, action::CONFIGURE, &[]).await?;
        Options::new(options).done()?;
        let result = self.context.reload.now().await;
        Ok(self.context.settled(result).await?.into_iter().map(str::to_owned).collect())
    }

    /// Reading, so nobody is asked about the caller.
    #[zbus(out_args("findings"))]
    async fn diagnose(
        &self,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<Vec<(&'static str, &'static str, String)>, MethodError> {
        Options::new(options).done()?;
        let findings = self.context.diagnosis.run().await;
        Ok(findings.into_iter().map(|finding| (finding.id, finding.state.as_str(), finding.detail)).collect())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn endpoint_id(&self) -> String {
        self.view.now().endpoint_id.to_string()
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.view.now().state
    }

    #[zbus(property)]
    fn probing(&self) -> bool {
        self.view.now().probing
    }

    #[zbus(property)]
    fn accepting_peers(&self) -> bool {
        self.view.now().accepting_peers
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn relay_mode(&self) -> &'static str {
        self.view.now().relay_mode
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn features(&self) -> Vec<String> {
        Vec::new()
    }

    #[zbus(property)]
    fn problems(&self) -> Vec<String> {
        self.view.now().problems.clone()
    }

    #[zbus(property)]
    fn discovered(&self) -> Vec<(String, String)> {
        self.view.now().discovered.iter().map(|(id, label)| (id.to_string(), label.clone())).collect()
    }

    #[zbus(property)]
    fn recently_ended(&self) -> Vec<(u64, String, String, String)> {
        let row = |ended: &crate::engine::view::EndedView| {
            (ended.when, ended.peer.clone(), ended.product.clone(), ended.reason.as_str().to_owned())
        };
        self.view.now().recently_ended.iter().map(row).collect()
    }
}
