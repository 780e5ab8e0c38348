//! What every object on the bus needs to act.

use p2pusb_dbus::{MethodError, names::action};
use zbus::message::Header;

use super::agents::Agents;
use crate::{diagnose::Diagnosis, engine::EngineHandle, policy::Authorizer, reload::Reload};

/// The engine, who reads the settings, what there is to diagnose, the gate, and who can ask people.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) engine: EngineHandle,
    pub(crate) reload: Reload,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) authorizer: Authorizer,
    pub(crate) agents: Agents,
}

impl Context {
    /// The gate: every method that changes something passes through it before anything else. Answers the
    /// caller's uid.
    pub(super) async fn authorize(
        &self,
        header: &Header<'_>,
        action: &str,
        details: &[(&str, &str)],
    ) -> Result<u32, MethodError> {
        Ok(self.authorizer.check(header, action, details).await?)
    }

    /// The gate before what somebody has made: whoever is not its owner needs the right to manage others' as well.
    pub(super) async fn authorize_for(
        &self,
        header: &Header<'_>,
        owner_uid: u32,
        action: &str,
        details: &[(&str, &str)],
    ) -> Result<u32, MethodError> {
        let uid = self.authorize(header, action, details).await?;
        // Root may do what it likes.
        if uid != 0 && uid != owner_uid {
            self.authorize(header, action::MANAGE_OTHERS, details).await?;
        }
        Ok(uid)
    }

    /// Passes on an answer of the engine once everybody can see what it changed: whoever gets an object's
    /// path finds the object.
    pub(super) async fn settled<T>(&self, result: crate::error::Result<T>) -> Result<T, MethodError> {
        self.engine.sync().await;
        Ok(result?)
    }
}
