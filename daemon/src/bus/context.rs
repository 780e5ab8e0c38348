//! What every object on the bus needs to act.

use p2pusb_dbus::MethodError;
use zbus::message::Header;

use crate::{engine::EngineHandle, policy::Authorizer, reload::Reload};

/// The engine, who reads the settings, and the gate before both.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) engine: EngineHandle,
    pub(crate) reload: Reload,
    pub(crate) authorizer: Authorizer,
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

    /// Passes on an answer of the engine once everybody can see what it changed: whoever gets an object's
    /// path finds the object.
    pub(super) async fn settled<T>(&self, result: crate::error::Result<T>) -> Result<T, MethodError> {
        self.engine.sync().await;
        Ok(result?)
    }
}
