//! `org.p2pusb1.AgentManager`

use zbus::{ObjectPath, Result, proxy};

use crate::Options;

/// Where programs say that they ask people on the daemon's behalf, on the root object.
#[proxy(interface = "org.p2pusb1.AgentManager", default_service = "org.p2pusb1", default_path = "/org/p2pusb1")]
pub trait AgentManager {
    /// Have this object of ours called when there is a question; `capability` is
    /// [`crate::names::AGENT_CAPABILITY_CONFIRM`].
    fn register_agent(&self, agent: &ObjectPath<'_>, capability: &str, options: &Options<'_>) -> Result<()>;

    /// Have it called no longer.
    fn unregister_agent(&self, agent: &ObjectPath<'_>, options: &Options<'_>) -> Result<()>;
}
