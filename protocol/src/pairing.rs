//! The messages by which machines are paired, on a connection and with an ALPN of their own.
//!
//! Either with a ticket: `Request`, and `Accepted` or `Refused`. Or by agreement, where a person at each end compares a
//! short code: `Proposal`, `Challenge`, `Reveal`, `Agreed`, and `Accepted`; or `Refused` at any time. [`crate::agreement`]
//! has what the code is made of.

use std::{fmt, hint::black_box};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    address::{self, PeerAddress},
    agreement::{COMMITMENT_LEN, Commitment, Nonce},
    control::read_version,
    error::{FieldError, ProtocolError},
    frame::Kind,
    text,
    version::MAJOR,
    wire_enum::wire_enum,
};

/// Length of a ticket's secret, in bytes.
pub const TICKET_SECRET_LEN: usize = 16;

/// The secret of a ticket, by which the machine that issued it knows whom it invited. It is not shown by
/// `Debug`, and comparing two takes the same time wherever they differ.
#[derive(Clone, Serialize, Deserialize)]
pub struct TicketSecret(pub [u8; TICKET_SECRET_LEN]);

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(..)")
    }
}

impl PartialEq for TicketSecret {
    fn eq(&self, other: &Self) -> bool {
        let difference =
            self.0.iter().zip(&other.0).fold(0, |difference, (ours, theirs)| black_box(difference | (ours ^ theirs)));
        difference == 0
    }
}

impl Eq for TicketSecret {}

/// A message on a pairing stream, which the one who wants to be paired opens. No message has a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingMessage {
    /// The one who holds a ticket: asks to be paired. The first message.
    Request(PairRequest),
    /// The one who was asked: the ticket is redeemed, or both have agreed. It has kept the pairing.
    Accepted {
        /// What the answering machine calls itself, for people.
        label: String,
        /// Where it can be reached.
        addresses: Vec<PeerAddress>,
    },
    /// The one who was asked: no.
    Refused(PairRefusal),
    /// The one who wants to be paired and has no ticket. The first message. Since minor version 2.
    Proposal(PairProposal),
    /// The one who was asked: shall be agreed with. Its number is told before it knows the other's.
    Challenge(PairChallenge),
    /// The one who wants to be paired: the number that it has committed itself to. Both sides know the code now, and show
    /// it to their people.
    Reveal {
        /// The number.
        nonce: Nonce,
    },
    /// The one who wants to be paired: somebody has agreed here.
    Agreed,
}

/// Asks to be paired, by showing a ticket's secret.
///
/// A request of another major version is decoded as far as it can be: its two version fields are as sent, the
/// others are empty and the secret is all zeros. The answer is [`PairRefusal::Version`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRequest {
    /// The sender's major version of the protocol. First in the message in every version.
    pub major: u16,
    /// The sender's minor version of the protocol. Second in the message in every version.
    pub minor: u16,
    /// The secret in the ticket.
    pub secret: TicketSecret,
    /// What the sender calls itself, for people.
    #[serde(serialize_with = "text::serialize")]
    pub label: String,
    /// Where the sender can be reached.
    #[serde(with = "address")]
    pub addresses: Vec<PeerAddress>,
}

impl PairRequest {
    fn of_other_major(major: u16, minor: u16) -> Self {
        let secret = TicketSecret([0; TICKET_SECRET_LEN]);
        Self { major, minor, secret, label: String::new(), addresses: Vec::new() }
    }
}

/// Asks to be paired by agreement.
///
/// A proposal of another major version is decoded as far as it can be: its two version fields are as sent, the
/// others are empty. The answer is [`PairRefusal::Version`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairProposal {
    /// The sender's major version of the protocol. First in the message in every version.
    pub major: u16,
    /// The sender's minor version of the protocol. Second in the message in every version.
    pub minor: u16,
    /// What binds the sender to the number that it reveals later.
    pub commitment: Commitment,
    /// What the sender calls itself, for people.
    #[serde(serialize_with = "text::serialize")]
    pub label: String,
    /// Where the sender can be reached.
    #[serde(with = "address")]
    pub addresses: Vec<PeerAddress>,
}

impl PairProposal {
    fn of_other_major(major: u16, minor: u16) -> Self {
        let commitment = Commitment([0; COMMITMENT_LEN]);
        Self { major, minor, commitment, label: String::new(), addresses: Vec::new() }
    }
}

/// Shall be agreed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairChallenge {
    /// A random number.
    pub nonce: Nonce,
    /// What the sender calls itself, for people.
    #[serde(serialize_with = "text::serialize")]
    pub label: String,
}

wire_enum! {
    /// Why a machine is not paired with.
    pub enum PairRefusal {
        /// There is no such ticket, or the reason is one that this version has no name for.
        Unknown = 0 => "unknown",
        /// It has been redeemed before.
        Used = 1 => "used",
        /// It is too old.
        Expired = 2 => "expired",
        /// The two sides speak different major versions.
        Version = 3 => "version",
        /// The device that it is for is not shared any longer.
        NotShared = 4 => "not-shared",
        /// Nobody is there who could agree, or nobody has said that machines may ask.
        NotAccepting = 5 => "not-accepting",
        /// Somebody is being asked about another machine.
        Busy = 6 => "busy",
        /// Somebody was asked and has said no, or has not answered in time.
        Declined = 7 => "declined",
        /// The number that was revealed is not the one that was committed to.
        Cheated = 8 => "cheated",
    }
    unknown => Unknown
}

impl fmt::Display for PairRefusal {
    /// Writes a sentence without its end, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the other machine does not know this ticket",
            Self::Used => "the ticket has been used before",
            Self::Expired => "the ticket has expired",
            Self::Version => "the other machine speaks another version of the protocol",
            Self::NotShared => "the device that the ticket is for is not shared any longer",
            Self::NotAccepting => "nobody has said there that machines may ask to be paired",
            Self::Busy => "somebody is being asked about another machine there",
            Self::Declined => "nobody there has agreed",
            Self::Cheated => "the other machine has received another number than was announced",
        })
    }
}

/// The header of `Accepted` as it is read.
#[derive(Deserialize)]
struct Introduction {
    label: String,
    #[serde(deserialize_with = "address::deserialize")]
    addresses: Vec<PeerAddress>,
}

impl PairingMessage {
    /// The frame of the message: its prefix and its header.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Request(request) => Kind::PairRequest.write(request, 0),
            Self::Accepted { label, addresses } => {
                let introduction = (text::Clipped(label), address::Addresses(addresses));
                Kind::PairAccepted.write(&introduction, 0)
            }
            Self::Refused(refusal) => Kind::PairRefused.write(&(refusal,), 0),
            Self::Proposal(proposal) => Kind::PairProposal.write(proposal, 0),
            Self::Challenge(challenge) => Kind::PairChallenge.write(challenge, 0),
            Self::Reveal { nonce } => Kind::PairReveal.write(&(nonce,), 0),
            Self::Agreed => Kind::PairAgreed.write(&(), 0),
        }
    }

    /// The message in a frame's header, `None` where the kind is one that this version does not know and
    /// the frame is to be ignored.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::WrongStream`], [`ProtocolError::Malformed`] and
    /// [`ProtocolError::Invalid`].
    pub fn decode(kind: u16, header: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some(kind) = Kind::from_number(kind) else {
            return Ok(None);
        };
        let message = match kind {
            Kind::PairRequest => {
                let (major, minor) = read_version(kind, header)?;
                Self::Request(if major == MAJOR {
                    kind.read(header)?
                } else {
                    PairRequest::of_other_major(major, minor)
                })
            }
            Kind::PairAccepted => {
                let Introduction { label, addresses } = kind.read(header)?;
                Self::Accepted { label, addresses }
            }
            Kind::PairRefused => {
                let (refusal,) = kind.read(header)?;
                Self::Refused(refusal)
            }
            Kind::PairProposal => {
                let (major, minor) = read_version(kind, header)?;
                Self::Proposal(if major == MAJOR {
                    kind.read(header)?
                } else {
                    PairProposal::of_other_major(major, minor)
                })
            }
            Kind::PairChallenge => Self::Challenge(kind.read(header)?),
            Kind::PairReveal => {
                let (nonce,) = kind.read(header)?;
                Self::Reveal { nonce }
            }
            Kind::PairAgreed => Self::Agreed,
            other => return Err(other.misplaced()),
        };
        message.validate().map_err(|source| kind.invalid(source))?;
        Ok(Some(message))
    }

    fn validate(&self) -> Result<(), FieldError> {
        match self {
            Self::Request(PairRequest { label, addresses, .. })
            | Self::Proposal(PairProposal { label, addresses, .. })
            | Self::Accepted { label, addresses } => {
                text::validate("label", label)?;
                address::validate(addresses)
            }
            Self::Challenge(PairChallenge { label, .. }) => text::validate("label", label),
            Self::Refused(_) | Self::Reveal { .. } | Self::Agreed => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_and_not_shown() {
        let secret = TicketSecret([7; TICKET_SECRET_LEN]);
        assert_eq!(secret, secret.clone());
        for position in 0..TICKET_SECRET_LEN {
            let mut other = secret.clone();
            other.0[position] ^= 0x80;
            assert_ne!(secret, other);
        }
        assert_eq!(format!("{secret:?}"), "TicketSecret(..)");
    }
}
