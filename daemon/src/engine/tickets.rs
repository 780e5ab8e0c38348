//! Tickets: those that this machine makes, and those of others that it redeems.

use p2pusb_protocol::{PairRefusal, PeerAddress};
use tracing::{info, warn};

use super::{Engine, command::Reply, guests::Limits, handle::TicketWish, state::now_usec};
use crate::{
    error::{Error, Result},
    net::{
        own_addresses,
        pairing::{self, Paired},
        ticket::{Secret, Ticket},
    },
    peer::PeerId,
    store::{TicketRecord, TicketState},
};

/// Tickets that may be open at a time, with the used ones that have not expired.
const MAX_TICKETS: usize = 256;

impl Engine {
    pub(super) async fn create_ticket(&mut self, wish: TicketWish) -> Result<String> {
        self.refuse_while_stopping()?;
        let TicketWish { lifetime_usec, scope, access_usec } = wish;
        if let Some(share) = scope.as_ref().filter(|share| !self.shares.contains_key(*share)) {
            return Err(Error::NotShared(share.clone()));
        }
        let now = now_usec();
        self.tickets.retain(|ticket| ticket.expires > now);
        if self.tickets.len() >= MAX_TICKETS {
            return Err(Error::LimitReached { limit: MAX_TICKETS, what: "tickets" });
        }
        let secret = Secret::generate()?;
        let expires = now.saturating_add(lifetime_usec);
        let digest = secret.digest();
        self.tickets.push(TicketRecord { digest, expires, state: TicketState::Open, scope, access_usec });
        self.keep_tickets().await?;
        let ticket = Ticket { peer: self.endpoint.id().into(), addresses: own_addresses(&self.endpoint), secret };
        info!("a ticket was made");
        Ok(ticket.to_text())
    }

    async fn keep_tickets(&self) -> Result<()> {
        let tickets = self.tickets.clone();
        self.keep(move |store| store.save_tickets(&tickets)).await
    }

    /// Somebody shows a ticket of ours.
    pub(super) async fn redeem(
        &mut self,
        peer: PeerId,
        secret: Secret,
        label: String,
        addresses: Vec<PeerAddress>,
    ) -> Result<(), PairRefusal> {
        if self.refuse_blocked(peer).is_err() {
            return Err(PairRefusal::Unknown);
        }
        let digest = secret.digest();
        let Some(at) = self.tickets.iter().position(|ticket| ticket.digest == digest) else {
            return Err(PairRefusal::Unknown);
        };
        let ticket = &mut self.tickets[at];
        if ticket.state == TicketState::Used {
            return Err(PairRefusal::Used);
        }
        if ticket.expires <= now_usec() {
            return Err(PairRefusal::Expired);
        }
        if ticket.scope.as_ref().is_some_and(|share| !self.shares.contains_key(share)) {
            return Err(PairRefusal::NotShared);
        }
        ticket.state = TicketState::Used;
        let until = if ticket.access_usec == 0 { 0 } else { now_usec().saturating_add(ticket.access_usec) };
        let limits = Limits { scope: ticket.scope.clone(), until };
        // Kept before the peer is: a ticket that might work twice is worse than one that is lost.
        let kept = match self.keep_tickets().await {
            Ok(()) => self.add(Paired { peer, label, addresses }, Some(limits)).await,
            Err(error) => Err(error),
        };
        kept.map_err(|error| {
            warn!(P2PUSB_PEER = peer.short(), "a ticket was lost: {error}");
            PairRefusal::Unknown
        })
    }

    /// Redeems a ticket of another machine.
    pub(super) fn add_peer(&mut self, text: &str, reply: Reply<PeerId>) {
        let ticket = self.refuse_while_stopping().and_then(|()| Ticket::parse(text)).and_then(|ticket| {
            if ticket.peer == PeerId::from(self.endpoint.id()) {
                return Err(Error::TicketInvalid("this machine made it; use it on the other one".to_owned()));
            }
            self.refuse_blocked(ticket.peer)?;
            Ok(ticket)
        });
        match ticket {
            // The caller may be gone; then nobody needs to know.
            Err(error) => drop(reply.send(Err(error))),
            Ok(ticket) => {
                let (endpoint, handle) = (self.endpoint.clone(), self.handle.clone());
                tokio::spawn(async move {
                    match pairing::redeem(&endpoint, ticket).await {
                        Ok(paired) => handle.paired(paired, reply).await,
                        Err(error) => drop(reply.send(Err(error))),
                    }
                });
            }
        }
    }
}
