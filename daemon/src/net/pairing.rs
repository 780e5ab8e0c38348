//! Pairing by ticket: afterwards each side knows the other.
//!
//! The redeemer dials the address of the ticket under a protocol name of its own and shows the secret; the
//! inviter checks it and answers with its label. Keys need no exchange: the connection proves both. Who has no ticket
//! can propose itself under the same name, see `agreement`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Connection, RecvStream, SendStream},
};
use p2pusb_protocol::{
    CloseCode, FrameLimits, MAJOR, MINOR, PAIRING_ALPN, PairProposal, PairRefusal, PairRequest, PairingMessage,
    PeerAddress,
};
use tokio::{sync::Semaphore, time::timeout};
use tracing::{debug, info};

use super::{
    agreement::Answerer,
    close, endpoint_addr,
    frames::{read_frame, write_frame},
    link::{connection_failure, own_version},
    own_addresses,
    serve::own_label,
    ticket::{Secret, Ticket},
};
use crate::{
    engine::EngineHandle,
    error::{Error, Result},
    peer::PeerId,
    people::People,
};

/// How long pairing may take from the dial to the answer.
const PAIRING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a stranger may take to say what it wants, and each time that it has to say something at once.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What the redeemer learns of the inviter.
#[derive(Debug)]
pub(crate) struct Paired {
    /// Who.
    pub(crate) peer: PeerId,
    /// What it calls itself.
    pub(crate) label: String,
    /// Where it can be found.
    pub(crate) addresses: Vec<PeerAddress>,
}

/// The next message; `None` where there is none, or none that can be understood.
pub(super) async fn read_message(from: &mut RecvStream) -> Option<PairingMessage> {
    let frame = read_frame(from, FrameLimits::PAIRING).await.ok()??;
    PairingMessage::decode(frame.kind, &frame.header).ok()?
}

/// The redeemer's side.
pub(crate) async fn redeem(endpoint: &Endpoint, ticket: Ticket) -> Result<Paired> {
    let name = ticket.peer.short();
    let unreachable = |detail: &str| Error::PeerUnreachable { peer: name.clone(), detail: detail.to_owned() };
    let exchange = async {
        let target = endpoint_addr(ticket.peer, &ticket.addresses);
        let connection =
            endpoint.connect(target, PAIRING_ALPN).await.map_err(|error| unreachable(&error.to_string()))?;
        let failed = |error: &iroh::endpoint::ConnectionError| connection_failure(error).into_error(&name);
        let (mut tx, mut rx) = connection.open_bi().await.map_err(|error| failed(&error))?;
        let request = PairingMessage::Request(PairRequest {
            major: MAJOR,
            minor: MINOR,
            secret: ticket.secret.to_wire(),
            label: own_label(),
            addresses: own_addresses(endpoint),
        });
        if let Err(error) = write_frame(&mut tx, request.encode(), Bytes::new()).await {
            return Err(unreachable(&error.to_string()));
        }
        let answer = read_message(&mut rx).await;
        close(&connection, CloseCode::Normal, "");
        match answer {
            Some(PairingMessage::Accepted { label, addresses }) => Ok(Paired { peer: ticket.peer, label, addresses }),
            Some(PairingMessage::Refused(PairRefusal::Used)) => Err(Error::TicketUsed),
            Some(PairingMessage::Refused(PairRefusal::Expired)) => Err(Error::TicketExpired),
            Some(PairingMessage::Refused(PairRefusal::NotShared)) => {
                Err(Error::NotShared("the device that the ticket is for".to_owned()))
            }
            Some(PairingMessage::Refused(PairRefusal::Version)) => Err(Error::ProtocolMismatch {
                peer: name.clone(),
                theirs: "another one".to_owned(),
                ours: own_version(),
            }),
            Some(PairingMessage::Refused(_)) => {
                Err(Error::TicketInvalid("the machine that it names did not make it".to_owned()))
            }
            _ => Err(match connection.close_reason() {
                Some(error) => failed(&error),
                None => unreachable("it gave no answer"),
            }),
        }
    };
    match timeout(PAIRING_TIMEOUT, exchange).await {
        Ok(result) => result,
        Err(_) => Err(unreachable("it does not answer at the addresses of the ticket")),
    }
}

/// What a stranger at the door is met with.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    endpoint: Endpoint,
    engine: EngineHandle,
    people: People,
    /// The place for whoever people are asked about: one machine at a time.
    proposals: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn new(endpoint: Endpoint, engine: EngineHandle, people: People) -> Self {
        Self { endpoint, engine, people, proposals: Arc::new(Semaphore::new(1)) }
    }

    /// Somebody shows a ticket.
    async fn redeem(&self, peer: PeerId, request: PairRequest) -> PairingMessage {
        if request.major != MAJOR {
            return PairingMessage::Refused(PairRefusal::Version);
        }
        let secret = Secret::from_wire(&request.secret);
        match self.engine.redeem(peer, secret, request.label, request.addresses).await {
            Ok(()) => PairingMessage::Accepted { label: own_label(), addresses: own_addresses(&self.endpoint) },
            Err(refusal) => {
                info!(P2PUSB_PEER = peer.short(), "refused a ticket: {refusal:?}");
                PairingMessage::Refused(refusal)
            }
        }
    }

    /// Somebody proposes itself.
    async fn hear(
        &self,
        peer: PeerId,
        connection: &Connection,
        proposal: PairProposal,
        tx: &mut SendStream,
        rx: &mut RecvStream,
    ) -> Option<PairingMessage> {
        let Ok(_place) = self.proposals.try_acquire() else {
            return Some(PairingMessage::Refused(PairRefusal::Busy));
        };
        let Self { endpoint, engine, people, .. } = self;
        Answerer { endpoint, peer, connection, engine, people }.hear(proposal, tx, rx).await
    }
}

/// The other side: somebody has dialled to be paired.
pub(crate) async fn answer(desk: Desk, peer: PeerId, connection: Connection) {
    let first = timeout(REQUEST_TIMEOUT, async {
        let (tx, mut rx) = connection.accept_bi().await.ok()?;
        let message = read_message(&mut rx).await?;
        Some((tx, rx, message))
    });
    let Ok(Some((mut tx, mut rx, first))) = first.await else {
        debug!(P2PUSB_PEER = peer.short(), "a stranger did not say what it wants");
        return close(&connection, CloseCode::ProtocolViolation, "the first message must be a pairing request");
    };
    let answer = match first {
        PairingMessage::Request(request) => Some(desk.redeem(peer, request).await),
        PairingMessage::Proposal(proposal) => desk.hear(peer, &connection, proposal, &mut tx, &mut rx).await,
        _ => {
            return close(&connection, CloseCode::ProtocolViolation, "the first message must be a pairing request");
        }
    };
    if let Some(message) = answer
        && write_frame(&mut tx, message.encode(), Bytes::new()).await.is_ok()
        && tx.finish().is_ok()
    {
        // The redeemer closes when it has read the answer.
        let _ = timeout(REQUEST_TIMEOUT, connection.closed()).await;
    }
    close(&connection, CloseCode::Normal, "");
}
