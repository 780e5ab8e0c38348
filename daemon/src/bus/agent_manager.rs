//! `org.p2pusb1.AgentManager`

use std::collections::HashMap;

use p2pusb_dbus::{
    MethodError,
    names::{AGENT_CAPABILITY_CONFIRM, action},
};
use zbus::{ObjectPath, OwnedVariant, interface, message::Header, names::OwnedUniqueName};

use super::{context::Context, options::Options};
use crate::error::Error;

#[derive(Debug)]
pub(super) struct AgentManager {
    pub(super) context: Context,
}

/// Who calls. A message without a sender has passed no bus.
pub(super) fn caller(header: &Header<'_>) -> Result<OwnedUniqueName, MethodError> {
    let sender = header.sender().ok_or_else(|| Error::InvalidArgs("the message has no sender".to_owned()))?;
    Ok(sender.to_owned().into())
}

#[interface(name = "org.p2pusb1.AgentManager", introspection_docs = false)]
impl AgentManager {
    async fn register_agent(
        &self,
        #[zbus(header)] header: Header<'_>,
        agent: ObjectPath<'_>,
        capability: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        self.context.authorize(&header, action::REGISTER_AGENT, &[]).await?;
        Options::new(options).done()?;
        if capability != AGENT_CAPABILITY_CONFIRM {
            let wrong = format!("“{capability}” is no capability; there is “{AGENT_CAPABILITY_CONFIRM}”");
            return Err(Error::InvalidArgs(wrong).into());
        }
        Ok(self.context.agents.register(caller(&header)?, agent.to_owned().into())?)
    }

    /// The caller's own, so nobody is asked about the caller.
    async fn unregister_agent(
        &self,
        #[zbus(header)] header: Header<'_>,
        agent: ObjectPath<'_>,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<(), MethodError> {
        Options::new(options).done()?;
        let path = agent.to_owned().into();
        if self.context.agents.unregister(&caller(&header)?, &path) {
            Ok(())
        } else {
            Err(Error::InvalidArgs(format!("the caller has no agent {agent}")).into())
        }
    }
}
