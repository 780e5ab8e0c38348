//! Pairing by agreement: two people compare a short code, and afterwards each side knows the other.
//!
//! Nobody is listened to unless somebody here has said that machines may ask. What the code protects from is in
//! `p2pusb_protocol::agreement`.

use std::time::Duration;

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Connection, RecvStream, SendStream},
};
use p2pusb_protocol::{
    ASKING_MAX, CloseCode, Code, MAJOR, MINOR, NONCE_LEN, Nonce, PAIRING_ALPN, PairChallenge, PairProposal,
    PairRefusal, PairingMessage, PeerAddress,
};
use tokio::time::timeout;
use tracing::info;
use zbus::names::OwnedUniqueName;

use super::{
    close, endpoint_addr,
    frames::write_frame,
    link::{connection_failure, own_version},
    own_addresses,
    pairing::{Paired, REQUEST_TIMEOUT, read_message},
    serve::own_label,
};
use crate::{
    engine::EngineHandle,
    error::{Error, Result},
    peer::PeerId,
    people::{Answer, People, Question},
};

/// How long the machines may take until both can show the code.
const CODE_TIMEOUT: Duration = Duration::from_secs(20);

fn nonce() -> Result<Nonce> {
    let mut bytes = [0; NONCE_LEN];
    getrandom::fill(&mut bytes).map_err(|error| Error::failed("the kernel gives no random bytes", error))?;
    Ok(Nonce(bytes))
}

fn key(id: PeerId) -> [u8; 32] {
    *iroh::EndpointId::from(id).as_bytes()
}

fn own_relays(endpoint: &Endpoint) -> Vec<PeerAddress> {
    let is_relay = |address: &PeerAddress| matches!(address, PeerAddress::Relay(_));
    own_addresses(endpoint).into_iter().filter(is_relay).collect()
}

async fn say(tx: &mut SendStream, message: PairingMessage) -> Option<()> {
    write_frame(tx, message.encode(), Bytes::new()).await.ok()
}

/// Who is to be paired with, as the one who proposes it knows it.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// Its key.
    pub(crate) peer: PeerId,
    /// Where it may be.
    pub(crate) addresses: Vec<PeerAddress>,
    /// Who wants it, and is asked.
    pub(crate) by: Option<OwnedUniqueName>,
}

/// The proposer's side.
pub(crate) async fn propose(endpoint: &Endpoint, proposal: Proposal, people: &People) -> Result<Paired> {
    let Proposal { peer, addresses, by } = proposal;
    let name = peer.short();
    let unreachable = |detail: &str| Error::PeerUnreachable { peer: name.clone(), detail: detail.to_owned() };
    // Where nothing is known of it, it may use the same relay.
    let addresses = if addresses.is_empty() { own_relays(endpoint) } else { addresses };
    if addresses.is_empty() {
        return Err(unreachable(
            "it was not found on the local network, and there is no relay in the settings; pair with a ticket \
             (`p2pusb invite` there, `p2pusb pair` here), which says where it is",
        ));
    }
    let dial = endpoint.connect(endpoint_addr(peer, &addresses), PAIRING_ALPN);
    let connection = match timeout(CODE_TIMEOUT, dial).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(unreachable(&error.to_string())),
        Err(_) => return Err(unreachable("it does not answer")),
    };
    let proposer = Proposer { endpoint, peer, connection: &connection, name: &name };
    let result = proposer.agree(people, by).await;
    let why = if result.is_ok() { "" } else { "the other side has called it off" };
    close(&connection, CloseCode::Normal, why);
    result
}

struct Proposer<'a> {
    endpoint: &'a Endpoint,
    peer: PeerId,
    connection: &'a Connection,
    name: &'a str,
}

impl Proposer<'_> {
    /// What the other side's silence or refusal means.
    fn failure(&self, answer: Option<PairingMessage>) -> Error {
        let (peer, refused) = (self.name.to_owned(), |detail: &str| Error::PeerRefused {
            peer: self.name.to_owned(),
            detail: detail.to_owned(),
        });
        match (answer, self.connection.close_reason()) {
            (Some(PairingMessage::Refused(PairRefusal::Version)), _) => {
                Error::ProtocolMismatch { peer, theirs: "another one".to_owned(), ours: own_version() }
            }
            (Some(PairingMessage::Refused(PairRefusal::NotAccepting)), _) => {
                refused("nobody there has said that machines may ask; run `p2pusb pair --accept` there, and try again")
            }
            (Some(PairingMessage::Refused(refusal)), _) => refused(&refusal.to_string()),
            (Some(_), _) => refused("it sent what the protocol does not allow"),
            (None, Some(error)) => connection_failure(&error).into_error(self.name),
            (None, None) => Error::PeerUnreachable { peer, detail: "it gave no answer".to_owned() },
        }
    }

    async fn agree(&self, people: &People, by: Option<OwnedUniqueName>) -> Result<Paired> {
        let own = nonce()?;
        let (mut tx, mut rx, theirs) = match timeout(CODE_TIMEOUT, self.exchange(own)).await {
            Ok(exchanged) => exchanged?,
            Err(_) => return Err(self.failure(None)),
        };
        let code = Code::new((&key(self.endpoint.id().into()), &own), (&key(self.peer), &theirs.nonce)).to_string();
        let question = Question::Pairing { peer: self.peer, label: theirs.label, code };
        let ours = async {
            match people.ask(question, by).await {
                Answer::Yes => say(&mut tx, PairingMessage::Agreed).await.ok_or_else(|| self.failure(None)),
                Answer::No => Err(Error::Cancelled(format!("pairing with {}", self.name))),
                Answer::NobodyThere => Err(Error::NobodyToAsk),
            }
        };
        let theirs = async {
            match read_message(&mut rx).await {
                Some(PairingMessage::Accepted { label, addresses }) => Ok((label, addresses)),
                answer => Err(self.failure(answer)),
            }
        };
        // Whichever says no ends the other: nobody goes on being asked.
        match timeout(ASKING_MAX, async { tokio::try_join!(ours, theirs) }).await {
            Ok(both) => both.map(|((), (label, addresses))| Paired { peer: self.peer, label, addresses }),
            Err(_) => Err(Error::TimedOut(format!("agreeing with {}", self.name))),
        }
    }

    /// Both numbers are told.
    async fn exchange(&self, own: Nonce) -> Result<(SendStream, RecvStream, PairChallenge)> {
        let failed = |error| connection_failure(&error).into_error(self.name);
        let (mut tx, mut rx) = self.connection.open_bi().await.map_err(failed)?;
        let proposal = PairingMessage::Proposal(PairProposal {
            major: MAJOR,
            minor: MINOR,
            commitment: own.commitment(),
            label: own_label(),
            addresses: own_addresses(self.endpoint),
        });
        say(&mut tx, proposal).await.ok_or_else(|| self.failure(None))?;
        let theirs = match read_message(&mut rx).await {
            Some(PairingMessage::Challenge(challenge)) => challenge,
            answer => return Err(self.failure(answer)),
        };
        say(&mut tx, PairingMessage::Reveal { nonce: own }).await.ok_or_else(|| self.failure(None))?;
        Ok((tx, rx, theirs))
    }
}

/// What the one who is asked has to do with.
pub(super) struct Answerer<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) peer: PeerId,
    pub(super) connection: &'a Connection,
    pub(super) engine: &'a EngineHandle,
    pub(super) people: &'a People,
}

/// Why nothing comes of a proposal.
enum Failed {
    /// The other side is to be told this.
    Refused(PairRefusal),
    /// It has gone, or says what it must not.
    Gone,
}

impl Answerer<'_> {
    /// Hears a proposal to its end; what the proposer is told then, `None` where it has gone.
    pub(super) async fn hear(
        &self,
        proposal: PairProposal,
        tx: &mut SendStream,
        rx: &mut RecvStream,
    ) -> Option<PairingMessage> {
        match self.agree(proposal, tx, rx).await {
            Ok(()) => Some(PairingMessage::Accepted { label: own_label(), addresses: own_addresses(self.endpoint) }),
            Err(Failed::Refused(refusal)) => {
                info!(P2PUSB_PEER = self.peer.short(), "not paired by agreement: {}", refusal.as_str());
                Some(PairingMessage::Refused(refusal))
            }
            Err(Failed::Gone) => {
                info!(P2PUSB_PEER = self.peer.short(), "not paired by agreement: called off there");
                None
            }
        }
    }

    async fn agree(&self, proposal: PairProposal, tx: &mut SendStream, rx: &mut RecvStream) -> Result<(), Failed> {
        if proposal.major != MAJOR {
            return Err(Failed::Refused(PairRefusal::Version));
        }
        self.engine.hear_proposal(self.peer).await.map_err(Failed::Refused)?;
        let own = nonce().map_err(|_| Failed::Refused(PairRefusal::Unknown))?;
        let exchange = async {
            say(tx, PairingMessage::Challenge(PairChallenge { nonce: own, label: own_label() })).await?;
            match read_message(rx).await? {
                PairingMessage::Reveal { nonce } => Some(nonce),
                _ => None,
            }
        };
        let theirs = timeout(REQUEST_TIMEOUT, exchange).await.ok().flatten().ok_or(Failed::Gone)?;
        if theirs.commitment() != proposal.commitment {
            return Err(Failed::Refused(PairRefusal::Cheated));
        }
        let code = Code::new((&key(self.peer), &theirs), (&key(self.endpoint.id().into()), &own)).to_string();
        let question = Question::Pairing { peer: self.peer, label: proposal.label.clone(), code };
        let ours = async {
            match self.people.ask(question, None).await {
                Answer::Yes => Ok(()),
                Answer::No => Err(Failed::Refused(PairRefusal::Declined)),
                Answer::NobodyThere => Err(Failed::Refused(PairRefusal::NotAccepting)),
            }
        };
        let theirs = async {
            match read_message(rx).await {
                Some(PairingMessage::Agreed) => Ok(()),
                _ => Err(Failed::Gone),
            }
        };
        let agreed = tokio::select! {
            both = timeout(ASKING_MAX, async { tokio::try_join!(ours, theirs) }) => match both {
                Ok(both) => both.map(|_| ()),
                Err(_) => Err(Failed::Refused(PairRefusal::Declined)),
            },
            // Also when it has agreed already.
            _ = self.connection.closed() => Err(Failed::Gone),
        };
        if matches!(agreed, Err(Failed::Refused(PairRefusal::Declined))) {
            self.engine.declined(self.peer).await;
        }
        agreed?;
        let paired = Paired { peer: self.peer, label: proposal.label, addresses: proposal.addresses };
        self.engine.agreed(paired).await.map_err(|error| {
            info!(P2PUSB_PEER = self.peer.short(), "agreed, but not kept: {error}");
            Failed::Refused(PairRefusal::Unknown)
        })
    }
}
