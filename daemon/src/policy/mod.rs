//! Who may do what.
//!
//! Root may do everything. Everybody else is asked about through polkit; where polkit is missing or fails,
//! the answer is no. The subject is always the sender of the message, as the bus knows it.

mod accept;
mod bandwidth;
mod follows;
mod glob;
mod interface_set;
mod interfaces;
mod names;
mod rule;
mod terms;
mod usb_id;
mod window;

pub use self::{
    accept::Accept,
    bandwidth::Bandwidth,
    follows::{Follows, Known},
    glob::Glob,
    interface_set::InterfaceSet,
    interfaces::InterfacePattern,
    names::PeerNames,
    rule::{Action, Attributes, Conditions, Rule, Rules},
    terms::{SessionLimit, Terms},
    usb_id::UsbIdPattern,
    window::{Opening, Windows},
};
pub(crate) use self::{
    accept::{Presentable, Unaccepted},
    follows::Unlike,
};

use std::collections::HashMap;

use p2pusb_dbus::names::{ROOT_PATH, action};
use zbus::{
    Connection,
    message::{Header, Message},
    names::UniqueName,
};
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags, Subject};

/// What a caller may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No.
    #[error("{0}")]
    No(String),
    /// Perhaps, if somebody may be asked for a password.
    #[error("the password of an administrator is needed; call again with interactive authorization allowed")]
    AskFirst,
}

/// The detail that polkit shows instead of the message of its policy file, with `$(name)` for each other detail.
const MESSAGE: &str = "polkit.message";

/// What the one who is asked reads, where it can name what it is about.
fn message(action: &str, details: &HashMap<&str, &str>) -> Option<&'static str> {
    let named = |name: &str| details.get(name).is_some_and(|value| !value.is_empty());
    match action {
        action::SHARE_DEVICE if named("device") => {
            Some("Authentication is required to change whether $(device) is shared with other machines")
        }
        action::SHARE_DEVICE_SENSITIVE if named("device") => {
            Some("Authentication is required to share $(device) although this machine depends on it")
        }
        action::ATTACH_DEVICE if named("device") && named("peer") => {
            Some("Authentication is required to change whether $(device) of $(peer) is attached to this machine")
        }
        action::MANAGE_PEERS if named("peer") => {
            Some("Authentication is required to $(verb) the machine $(peer), which shares USB devices with this one")
        }
        action::MANAGE_OTHERS if named("device") => {
            Some("Authentication is required because somebody else has shared or attached $(device)")
        }
        _ => None,
    }
}

/// Asks for a caller's rights.
#[derive(Debug, Clone)]
pub struct Authorizer {
    bus: Connection,
}

impl Authorizer {
    /// Asks on this bus.
    pub fn new(bus: Connection) -> Self {
        Self { bus }
    }

    /// Whether the sender of a message may do this; answers its uid. `details` tell the person who is asked
    /// what it is about.
    pub async fn check(&self, header: &Header<'_>, action: &str, details: &[(&str, &str)]) -> Result<u32, Denied> {
        let no = |why: &str| Denied::No(why.to_owned());
        let sender = header.sender().ok_or_else(|| no("the message has no sender"))?;
        let subject = Subject::new_for_message_header(header).map_err(|_| no("the message has no sender"))?;
        let interactive = header.primary().flags().contains(zbus::message::Flags::ALLOW_INTERACTIVE_AUTH);
        self.check_subject(sender, &subject, interactive, action, details).await
    }

    /// Whether somebody on the bus may do this, who has not called; a person may be asked. Answers its uid.
    pub async fn check_owner(
        &self,
        owner: &UniqueName<'_>,
        action: &str,
        details: &[(&str, &str)],
    ) -> Result<u32, Denied> {
        let no = |error: zbus::Error| Denied::No(format!("the owner of a bus name can't be asked about: {error}"));
        // A subject is made of a message, and this one is never sent.
        let from = Message::method_call(ROOT_PATH, "Ask").sender(owner).build(&()).map_err(no)?;
        let subject =
            Subject::new_for_message_header(&from.header()).map_err(|_| Denied::No("no subject".to_owned()))?;
        self.check_subject(owner, &subject, true, action, details).await
    }

    async fn check_subject(
        &self,
        sender: &UniqueName<'_>,
        subject: &Subject,
        interactive: bool,
        action: &str,
        details: &[(&str, &str)],
    ) -> Result<u32, Denied> {
        let no = |why: &str| Denied::No(why.to_owned());
        let dbus = zbus::fdo::DBusProxy::new(&self.bus).await.map_err(|_| no("the bus does not answer"))?;
        let uid = dbus
            .get_connection_unix_user(sender.to_owned().into())
            .await
            .map_err(|error| no(&format!("the bus does not know the caller: {error}")))?;
        if uid == 0 {
            return Ok(uid);
        }
        let flags = if interactive {
            CheckAuthorizationFlags::ALLOW_USER_INTERACTION
        } else {
            CheckAuthorizationFlags::empty()
        };
        let mut details: HashMap<&str, &str> = details.iter().copied().collect();
        if let Some(message) = message(action, &details) {
            details.insert(MESSAGE, message);
        }
        let authority =
            AuthorityProxy::new(&self.bus).await.map_err(|_| no("polkit is not there; only root may do this"))?;
        let answer = authority
            .check_authorization(subject, action, &details, flags, "")
            .await
            .map_err(|error| no(&format!("polkit does not answer ({error}); only root may do this")))?;
        if answer.is_authorized {
            Ok(uid)
        } else if answer.is_challenge && !interactive {
            Err(Denied::AskFirst)
        } else {
            Err(no(&format!("you are not authorized to do this (polkit action {action})")))
        }
    }
}
