//! Agents: programs of clients that ask people, and the way of a question through them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_lite::StreamExt as _;
use p2pusb_dbus::{
    AgentProxy, Options,
    names::{AGENTS_MAX, action, detail},
    path,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tracing::{debug, info};
use zbus::{Connection, OwnedObjectPath, fdo::DBusProxy, names::OwnedUniqueName};

use super::paths;
use crate::{
    error::{Error, Result},
    people::{Answer, Asked, Question},
    policy::{Authorizer, Denied},
};

/// How long an agent may take to hear that a question is taken back.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Agent {
    owner: OwnedUniqueName,
    path: OwnedObjectPath,
}

/// Those that are registered, the newest last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Agents {
    list: Arc<Mutex<Vec<Agent>>>,
    /// People are asked one thing at a time.
    turn: Arc<Turn>,
}

/// A place for the question that is asked.
#[derive(Debug)]
struct Turn(Semaphore);

impl Default for Turn {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Agents {
    fn list(&self) -> MutexGuard<'_, Vec<Agent>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one in; its owner's earlier one is forgotten.
    pub(super) fn register(&self, owner: OwnedUniqueName, path: OwnedObjectPath) -> Result<()> {
        let mut agents = self.list();
        agents.retain(|agent| agent.owner != owner);
        if agents.len() >= AGENTS_MAX {
            return Err(Error::LimitReached { limit: AGENTS_MAX, what: "agents" });
        }
        agents.push(Agent { owner, path });
        Ok(())
    }

    /// Forgets one; false where there is no such.
    pub(super) fn unregister(&self, owner: &OwnedUniqueName, path: &OwnedObjectPath) -> bool {
        let mut agents = self.list();
        let before = agents.len();
        agents.retain(|agent| (&agent.owner, &agent.path) != (owner, path));
        agents.len() < before
    }

    fn forget(&self, owner: &str) {
        self.list().retain(|agent| agent.owner.as_str() != owner);
    }

    /// Whom to ask, in this order: the one of whoever has caused the question and no other, or else all, the newest first.
    fn to_ask(&self, by: Option<&OwnedUniqueName>) -> Vec<Agent> {
        let agents = self.list();
        match by.and_then(|by| agents.iter().find(|agent| agent.owner == *by)) {
            Some(own) => vec![own.clone()],
            None => agents.iter().rev().cloned().collect(),
        }
    }

    /// Whether anybody can be asked what this client has caused.
    pub(super) fn is_somebody_there(&self, by: &OwnedUniqueName) -> bool {
        !self.to_ask(Some(by)).is_empty()
    }

    /// Puts each question to people, and forgets agents whose owners leave the bus.
    pub(crate) async fn serve(
        self,
        bus: Connection,
        authorizer: Authorizer,
        mut questions: mpsc::Receiver<Asked>,
    ) -> zbus::Result<()> {
        let mut owners = DBusProxy::new(&bus).await?.receive_name_owner_changed().await?;
        loop {
            tokio::select! {
                asked = questions.recv() => match asked {
                    Some(asked) => drop(tokio::spawn(self.clone().ask(bus.clone(), authorizer.clone(), asked))),
                    None => return Ok(()),
                },
                Some(change) = owners.next() => {
                    let change = change.args()?;
                    if change.new_owner.is_none() {
                        self.forget(&change.name);
                    }
                }
            }
        }
    }

    /// Tells all that they are forgotten.
    pub(crate) async fn release(&self, bus: &Connection) {
        let agents = std::mem::take(&mut *self.list());
        for agent in agents {
            if let Ok(agent) = agent.proxy(bus).await {
                // Whoever has gone need not be told.
                let _ = agent.release().await;
            }
        }
    }

    async fn ask(self, bus: Connection, authorizer: Authorizer, asked: Asked) {
        let Asked { question, by, mut answer } = asked;
        let _turn = tokio::select! {
            turn = self.turn.0.acquire() => turn,
            () = answer.closed() => return,
        };
        let mut came = Answer::NobodyThere;
        for agent in self.to_ask(by.as_ref()) {
            let given = tokio::select! {
                given = agent.answer(&bus, &question) => given,
                () = answer.closed() => return agent.cancel(&bus).await,
            };
            let Some(agreed) = given else {
                debug!("the agent of {} can't be asked", agent.owner);
                continue;
            };
            // Whoever has caused the question has shown that it may.
            let may = agreed && (by.as_ref() == Some(&agent.owner) || agent.may_agree(&authorizer, &question).await);
            came = if may { Answer::Yes } else { Answer::No };
            break;
        }
        // Nobody may wait for it any longer.
        let _ = answer.send(came);
    }
}

impl Agent {
    async fn proxy<'a>(&self, bus: &Connection) -> zbus::Result<AgentProxy<'a>> {
        AgentProxy::builder(bus).destination(self.owner.clone()).path(self.path.clone()).build().await
    }

    /// What somebody has said through this agent; `None` where it can't be asked.
    async fn answer(&self, bus: &Connection, question: &Question) -> Option<bool> {
        let proxy = self.proxy(bus).await.ok()?;
        let asked = async {
            match question {
                Question::Pairing { peer, label, code } => {
                    proxy.request_pairing(&peer.to_string(), label, code, &Options::new()).await
                }
                Question::Claim { peer, label, share, product, .. } => {
                    let (peer, share) = (paths::peer(*peer), path::share_path(share));
                    let details = Options::from([
                        (detail::LABEL, label.as_str().into()),
                        (detail::PRODUCT, product.as_str().into()),
                    ]);
                    proxy.request_attach(&peer, &share, &details).await
                }
            }
        };
        // Whoever asks takes the question back in time.
        match asked.await {
            Ok(agreed) => Some(agreed),
            // It is gone, or is no agent.
            Err(zbus::Error::MethodError(name, ..)) if name.as_str().starts_with("org.freedesktop.DBus.Error.") => None,
            // An error of its own is a no.
            Err(_) => Some(false),
        }
    }

    /// Whether its owner has the right to say yes.
    async fn may_agree(&self, authorizer: &Authorizer, question: &Question) -> bool {
        let check = async |action, details: &[(&str, &str)]| authorizer.check_owner(&self.owner, action, details).await;
        let allowed = async {
            match question {
                Question::Pairing { label, .. } => {
                    check(action::MANAGE_PEERS, &[("verb", "pair"), ("peer", label)]).await?;
                }
                Question::Claim { product, owner_uid, .. } => {
                    let uid = check(action::SHARE_DEVICE, &[("device", product)]).await?;
                    if uid != 0 && uid != *owner_uid {
                        check(action::MANAGE_OTHERS, &[("device", product)]).await?;
                    }
                }
            }
            Ok::<_, Denied>(())
        };
        match allowed.await {
            Ok(()) => true,
            Err(denied) => {
                info!("the owner of an agent may not agree: {denied}");
                false
            }
        }
    }

    async fn cancel(&self, bus: &Connection) {
        if let Ok(proxy) = self.proxy(bus).await {
            // It may have gone, too.
            let _ = timeout(CANCEL_TIMEOUT, proxy.cancel()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> OwnedUniqueName {
        format!(":1.{number}").try_into().unwrap()
    }

    fn path(path: &'static str) -> OwnedObjectPath {
        path.try_into().unwrap()
    }

    #[test]
    fn a_caller_has_one_agent_and_is_asked_first_for_what_it_has_caused() {
        let agents = Agents::default();
        agents.register(name(1), path("/old")).unwrap();
        agents.register(name(1), path("/a")).unwrap();
        agents.register(name(2), path("/b")).unwrap();
        let paths = |by: Option<&OwnedUniqueName>| {
            agents.to_ask(by).iter().map(|agent| agent.path.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(paths(None), "/b /a");
        assert_eq!(paths(Some(&name(1))), "/a");
        assert_eq!(paths(Some(&name(3))), "/b /a");
        assert!(!agents.unregister(&name(2), &path("/a")));
        assert!(agents.unregister(&name(2), &path("/b")));
        agents.forget(":1.1");
        assert_eq!(paths(None), "");
    }

    #[test]
    fn there_are_not_more_than_can_be_asked() {
        let agents = Agents::default();
        for number in 0..AGENTS_MAX {
            agents.register(name(number), path("/a")).unwrap();
        }
        assert!(matches!(agents.register(name(99), path("/a")), Err(Error::LimitReached { .. })));
        agents.register(name(3), path("/b")).unwrap();
    }
}
