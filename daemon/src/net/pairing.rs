//! Pairing by ticket: afterwards each side knows the other.
//!
//! The redeemer dials the address of the ticket under a protocol name of its own and shows the secret; the
//! inviter checks it and answers with its label. Keys need no exchange: the connection proves both.

use std::time::Duration;

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Connection, RecvStream},
};
use p2pusb_protocol::{
    CloseCode, FrameLimits, MAJOR, MINOR, PAIRING_ALPN, PairRequest, PairingMessage, PeerAddress, TicketRefusal,
};
use tokio::time::timeout;
use tracing::{debug, info};

use super::{
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
};

/// How long pairing may take from the dial to the answer.
const PAIRING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a stranger may take to show its secret.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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

async fn read_message(from: &mut RecvStream) -> Option<PairingMessage> {
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
            Some(PairingMessage::Refused(TicketRefusal::Used)) => Err(Error::TicketUsed),
            Some(PairingMessage::Refused(TicketRefusal::Expired)) => Err(Error::TicketExpired),
            Some(PairingMessage::Refused(TicketRefusal::NotShared)) => {
                Err(Error::NotShared("the device that the ticket is for".to_owned()))
            }
            Some(PairingMessage::Refused(TicketRefusal::Version)) => Err(Error::ProtocolMismatch {
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

/// The inviter's side: somebody has dialled with a ticket, or says so.
pub(crate) async fn answer(endpoint: Endpoint, peer: PeerId, connection: Connection, engine: EngineHandle) {
    let exchange = timeout(REQUEST_TIMEOUT, async {
        let (tx, mut rx) = connection.accept_bi().await.ok()?;
        match read_message(&mut rx).await? {
            PairingMessage::Request(request) => Some((tx, request)),
            _ => None,
        }
    });
    let Ok(Some((mut tx, request))) = exchange.await else {
        debug!(P2PUSB_PEER = peer.short(), "a stranger showed no ticket");
        return close(&connection, CloseCode::ProtocolViolation, "the first message must be a pairing request");
    };
    let message = if request.major != MAJOR {
        PairingMessage::Refused(TicketRefusal::Version)
    } else {
        let secret = Secret::from_wire(&request.secret);
        match engine.redeem(peer, secret, request.label, request.addresses).await {
            Ok(()) => PairingMessage::Accepted { label: own_label(), addresses: own_addresses(&endpoint) },
            Err(refusal) => {
                info!(P2PUSB_PEER = peer.short(), "refused a ticket: {refusal:?}");
                PairingMessage::Refused(refusal)
            }
        }
    };
    if write_frame(&mut tx, message.encode(), Bytes::new()).await.is_ok() && tx.finish().is_ok() {
        // The redeemer closes when it has read the answer.
        let _ = timeout(REQUEST_TIMEOUT, connection.closed()).await;
    }
    close(&connection, CloseCode::Normal, "");
}
