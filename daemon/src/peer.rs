//! The name of a peer: its EndpointId, an Ed25519 public key. And what this machine thinks of it.

use std::{fmt, str::FromStr};

use iroh::EndpointId;
use serde::{Deserialize, Serialize};

/// Another machine that runs p2pusbd, known by its public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// Ten hex digits: what logs show. Enough to tell peers apart, short enough to read.
    pub fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..5])
    }
}

/// What this machine thinks of a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It may use what is shared with it.
    #[default]
    Paired,
    /// It is refused, and not dialled.
    Blocked,
}

impl Trust {
    /// As the bus has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Blocked => "blocked",
        }
    }
}

impl FromStr for Trust {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Paired, Self::Blocked]
            .into_iter()
            .find(|trust| trust.as_str() == text)
            .ok_or_else(|| format!("“{text}” is neither “paired” nor “blocked”"))
    }
}

impl From<EndpointId> for PeerId {
    fn from(id: EndpointId) -> Self {
        Self(*id.as_bytes())
    }
}

impl From<PeerId> for EndpointId {
    fn from(id: PeerId) -> Self {
        // A PeerId is only ever made of an EndpointId (see the two ways in), so its bytes are a valid key.
        EndpointId::from_bytes(&id.0).unwrap_or_else(|_| unreachable!("a PeerId holds a valid public key"))
    }
}

impl FromStr for PeerId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .map_err(|error| format!("“{text}” is not a hexadecimal endpoint id: {error}"))?;
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| format!("“{text}” is not an endpoint id: it has 64 hexadecimal digits"))?;
        EndpointId::from_bytes(&bytes)
            .map(Self::from)
            .map_err(|_| format!("“{text}” is not the public key of a machine"))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_reads_back_and_a_wrong_one_says_why() {
        let id = PeerId::from(iroh::SecretKey::from_bytes(&[7; 32]).public());
        assert_eq!(id.to_string().parse::<PeerId>(), Ok(id));
        assert!(id.to_string().starts_with(&id.short()));
        assert!("abc".parse::<PeerId>().unwrap_err().contains("hexadecimal"));
        assert!("abcd".parse::<PeerId>().unwrap_err().contains("64"));
    }
}
