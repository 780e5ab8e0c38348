//! Tickets: the string that `p2pusb invite` prints.
//!
//! A ticket is `p2pusb` and base32 of: a version, the inviting machine's key, where it may be found, and a
//! secret. Whoever has the secret is paired with; it works once and not for long. The last bytes are a
//! check sum, so that a mistyped ticket is told from a wrong one.

use std::fmt;

use iroh_tickets::{ParseError, Ticket as _};
use p2pusb_protocol::{MAX_ADDRESSES, PeerAddress, TICKET_SECRET_LEN, TicketSecret};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{address_from_text, address_to_text};
use crate::{
    error::{Error, Result},
    peer::PeerId,
};

const VERSION: u8 = 1;
const CHECK_LEN: usize = 4;

/// What makes a ticket work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Secret([u8; TICKET_SECRET_LEN]);

impl Secret {
    /// A new one, from the kernel.
    pub(crate) fn generate() -> Result<Self> {
        let mut bytes = [0; TICKET_SECRET_LEN];
        getrandom::fill(&mut bytes).map_err(|error| Error::failed("the kernel gives no random bytes", error))?;
        Ok(Self(bytes))
    }

    /// As it came over the wire.
    pub(crate) fn from_wire(secret: &TicketSecret) -> Self {
        Self(secret.0)
    }

    /// As it goes over the wire.
    pub(crate) fn to_wire(self) -> TicketSecret {
        TicketSecret(self.0)
    }

    /// What is kept of it. Comparing digests also takes the same time for every wrong guess.
    pub(crate) fn digest(self) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Who invites.
    pub(crate) peer: PeerId,
    /// Where it may be found.
    pub(crate) addresses: Vec<PeerAddress>,
    /// What makes it work.
    pub(crate) secret: Secret,
}

#[derive(Serialize, Deserialize)]
struct Body {
    version: u8,
    peer: iroh::EndpointId,
    /// As text: addresses and relays' URLs.
    addresses: Vec<String>,
    secret: [u8; TICKET_SECRET_LEN],
}

impl iroh_tickets::Ticket for Ticket {
    const KIND: &'static str = "p2pusb";

    fn encode_bytes(&self) -> Vec<u8> {
        let body = Body {
            version: VERSION,
            peer: self.peer.into(),
            addresses: self.addresses.iter().map(address_to_text).collect(),
            secret: self.secret.0,
        };
        let mut bytes = postcard::to_stdvec(&body).unwrap_or_else(|_| unreachable!("a ticket's fields always encode"));
        let check = Sha256::digest(&bytes);
        bytes.extend_from_slice(&check[..CHECK_LEN]);
        bytes
    }

    fn decode_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        let Some((body, check)) = bytes.split_last_chunk::<CHECK_LEN>() else {
            return Err(ParseError::verification_failed("it is too short"));
        };
        if Sha256::digest(body)[..CHECK_LEN] != *check {
            return Err(ParseError::verification_failed("a character is wrong or missing; copy it again"));
        }
        if body.first() != Some(&VERSION) {
            return Err(ParseError::verification_failed("another release of p2pusb made it"));
        }
        let body: Body = postcard::from_bytes(body)?;
        if body.addresses.len() > MAX_ADDRESSES {
            return Err(ParseError::verification_failed("it names too many addresses"));
        }
        // An address that this release can't read is one way less to find the peer.
        let addresses = body.addresses.iter().filter_map(|text| address_from_text(text)).collect();
        Ok(Self { peer: body.peer.into(), addresses, secret: Secret(body.secret) })
    }
}

impl Ticket {
    /// As people pass it on.
    pub(crate) fn to_text(&self) -> String {
        self.encode_string()
    }

    /// What somebody pasted.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::decode_string(text.trim()).map_err(|error| {
            Error::TicketInvalid(match error {
                ParseError::Kind { expected, .. } => format!("a ticket starts with “{expected}”"),
                ParseError::Encoding { .. } => "it holds a character that no ticket has; copy it again".to_owned(),
                ParseError::Verify { message, .. } => message.to_owned(),
                other => other.to_string(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            peer: iroh::SecretKey::from_bytes(&[3; 32]).public().into(),
            addresses: vec![PeerAddress::Ip("192.0.2.7:4000".parse().unwrap())],
            secret: Secret([5; 16]),
        }
    }

    #[test]
    fn a_ticket_reads_back() {
        let text = ticket().to_text();
        assert!(text.starts_with("p2pusb"));
        assert_eq!(Ticket::parse(&format!(" {text}\n")).unwrap(), ticket());
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let text = ticket().to_text();
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(matches!(Ticket::parse(&wrong), Err(Error::TicketInvalid(_))), "{at}");
        }
        for length in 0..text.len() {
            assert!(Ticket::parse(&text[..length]).is_err());
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(format!("{:?}", ticket()).contains("Secret(…)"));
    }
}
