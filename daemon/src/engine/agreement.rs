//! Pairing by agreement: whether machines may ask, and asking one.

use std::{collections::BTreeSet, time::Duration};

use p2pusb_protocol::PairRefusal;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use zbus::names::OwnedUniqueName;

use super::{Engine, command::Reply};
use crate::{
    error::{Error, Result},
    net::agreement::{self, Proposal},
    peer::PeerId,
};

/// Machines that were declined, while any may ask. When there are more, none may: somebody makes up keys.
const MAX_DECLINED: usize = 64;

/// Machines may ask to be paired, for some time.
#[derive(Debug)]
pub(super) struct Accepting {
    until: Instant,
    /// Those that need not ask again.
    declined: BTreeSet<PeerId>,
    _end: AbortOnDropHandle<()>,
}

impl Engine {
    /// Machines may ask for so long, or no longer; those that were declined may again.
    pub(super) async fn set_accepting(&mut self, wait: Option<Duration>) -> Result<()> {
        self.refuse_while_stopping()?;
        self.accepting = wait.map(|wait| {
            let (until, engine) = (Instant::now() + wait, self.handle.clone());
            let end = tokio::spawn(async move {
                sleep_until(until).await;
                engine.accepting_over().await;
            });
            Accepting { until, declined: BTreeSet::new(), _end: AbortOnDropHandle::new(end) }
        });
        self.accepting_changed().await;
        Ok(())
    }

    async fn accepting_changed(&self) {
        let may = self.accepting.is_some();
        info!("machines may {} ask to be paired", if may { "now" } else { "no longer" });
        // The local network hears of this machine meanwhile.
        self.is_accepting.send_if_modified(|before| std::mem::replace(before, may) != may);
        self.publish_manager().await;
    }

    /// The time may be over.
    pub(super) async fn accepting_over(&mut self) {
        if self.accepting.as_ref().is_some_and(|accepting| accepting.until <= Instant::now()) {
            self.accepting = None;
            self.accepting_changed().await;
        }
    }

    /// A machine wants to be paired. Whether somebody shall be asked about it.
    pub(super) fn hear_proposal(&self, peer: PeerId) -> Result<(), PairRefusal> {
        match &self.accepting {
            Some(_) if self.refuse_blocked(peer).is_err() => Err(PairRefusal::Declined),
            Some(accepting) if accepting.declined.contains(&peer) => Err(PairRefusal::Declined),
            Some(_) => Ok(()),
            None => Err(PairRefusal::NotAccepting),
        }
    }

    /// Somebody does not want to be paired with this machine.
    pub(super) async fn declined(&mut self, peer: PeerId) {
        let Some(accepting) = &mut self.accepting else { return };
        accepting.declined.insert(peer);
        if accepting.declined.len() >= MAX_DECLINED {
            warn!("{MAX_DECLINED} machines were declined: none may ask to be paired any longer");
            self.accepting = None;
            self.accepting_changed().await;
        }
    }

    /// Proposes to a machine to be paired; `by` is asked whether it shows the same code.
    pub(super) fn propose_pairing(&mut self, text: &str, by: Option<OwnedUniqueName>, reply: Reply<PeerId>) {
        let proposal = self.refuse_while_stopping().and_then(|()| {
            let not_an_id = || {
                let digits = "an endpoint id has 64 hexadecimal digits; `p2pusb status` shows it on that machine";
                Error::InvalidArgs(format!("“{text}” is no endpoint id: {digits}"))
            };
            let peer: PeerId = text.parse().map_err(|_| not_an_id())?;
            if peer == PeerId::from(self.endpoint.id()) {
                return Err(Error::InvalidArgs("this is this very machine's endpoint id".to_owned()));
            }
            self.refuse_blocked(peer)?;
            let found = self.discovered.get(&peer).map(|found| found.addresses.clone());
            let known = self.peers.get(&peer).map(super::peers::Peer::addresses);
            Ok(Proposal { peer, addresses: found.into_iter().chain(known).flatten().collect(), by })
        });
        match proposal {
            // The caller may be gone; then nobody needs to know.
            Err(error) => drop(reply.send(Err(error))),
            Ok(proposal) => {
                let (endpoint, handle, people) = (self.endpoint.clone(), self.handle.clone(), self.people.clone());
                tokio::spawn(async move {
                    match agreement::propose(&endpoint, proposal, &people).await {
                        Ok(paired) => handle.paired(paired, reply).await,
                        Err(error) => drop(reply.send(Err(error))),
                    }
                });
            }
        }
    }
}
