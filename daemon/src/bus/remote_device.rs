//! `org.p2pusb1.RemoteDevice`

use std::collections::HashMap;

use p2pusb_dbus::{
    MethodError,
    names::{
        action,
        option::{FOLLOW, KEEP, QUEUE},
    },
    path,
};
use zbus::{OwnedFd, OwnedObjectPath, OwnedVariant, interface, message::Header};

use super::{context::Context, guard::guard, options::Options, paths, shown::Shown};
use crate::{
    engine::{AttachWish, view::RemoteDeviceView},
    error::Error,
};

#[derive(Debug)]
pub(super) struct RemoteDevice {
    pub(super) context: Context,
    pub(super) view: Shown<RemoteDeviceView>,
}

impl RemoteDevice {
    async fn authorize(&self, header: &Header<'_>, server: &zbus::ObjectServer) -> Result<u32, MethodError> {
        let view = self.view.now();
        let peer = super::peer::label(server, view.peer).await;
        let details = [("device", view.facts.product.as_str()), ("peer", &peer)];
        self.context.authorize(header, action::ATTACH_DEVICE, &details).await
    }
}

/// What all ways of attaching have in common.
async fn wish(mut options: Options) -> Result<AttachWish, MethodError> {
    let (grace, queue, pin) = (options.take_grace()?, options.take(QUEUE)?.unwrap_or(false), options.take_pin()?);
    options.done()?;
    let pin = match pin {
        Some(pin) => Some(pin.read().await?),
        None => None,
    };
    Ok(AttachWish { grace, queue, pin, ..AttachWish::default() })
}

#[interface(name = "org.p2pusb1.RemoteDevice", introspection_docs = false)]
impl RemoteDevice {
    #[zbus(out_args("attachment"))]
    async fn attach(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<OwnedObjectPath, MethodError> {
        let uid = self.authorize(&header, server).await?;
        let view = self.view.now();
        let mut options = Options::new(options);
        let (keep, follow) = (options.take(KEEP)?.unwrap_or(true), options.take_follows(FOLLOW)?);
        if !keep && !follow.is_empty() {
            let wrong =
                format!("{FOLLOW} is about what is attached again by itself, and {KEEP} is false; leave one out");
            return Err(Error::InvalidArgs(wrong).into());
        }
        let wish = AttachWish { keep, follow, ..wish(options).await? };
        let result = self.context.engine.attach(view.peer, view.remote_id.clone(), wish, uid).await;
        Ok(path::attachment_path(self.context.settled(result).await?))
    }

    #[zbus(out_args("attachment", "guard"))]
    async fn attach_with_guard(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &zbus::ObjectServer,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(OwnedObjectPath, OwnedFd), MethodError> {
        let uid = self.authorize(&header, server).await?;
        let view = self.view.now();
        // It ends with its caller: there is nothing to attach again by itself.
        let wish = wish(Options::new(options)).await?;
        let engine = &self.context.engine;
        let result = engine.attach(view.peer, view.remote_id.clone(), wish, uid).await;
        let attachment = self.context.settled(result).await?;
        let guard = guard(engine.clone(), attachment)?;
        Ok((path::attachment_path(attachment), guard.into()))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn peer(&self) -> OwnedObjectPath {
        paths::peer(self.view.now().peer)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn remote_id(&self) -> String {
        self.view.now().remote_id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn vendor_id(&self) -> u16 {
        self.view.now().facts.vendor_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn product_id(&self) -> u16 {
        self.view.now().facts.product_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn manufacturer(&self) -> String {
        self.view.now().facts.manufacturer.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn product(&self) -> String {
        self.view.now().facts.product.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn class(&self) -> u8 {
        self.view.now().facts.class
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn interfaces(&self) -> Vec<(u8, u8, u8)> {
        self.view.now().facts.interface_triples()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn speed(&self) -> &'static str {
        self.view.now().facts.speed.as_str()
    }

    #[zbus(property)]
    fn available(&self) -> bool {
        self.view.now().available
    }

    #[zbus(property)]
    fn attachment(&self) -> OwnedObjectPath {
        paths::or_none(self.view.now().attachment, path::attachment_path)
    }
}
