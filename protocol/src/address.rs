//! Where a daemon can be reached.

use std::net::{AddrParseError, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{
    error::FieldError,
    limits::{MAX_ADDRESSES, MAX_RELAY_URL},
    list, text,
};

/// One way to reach a daemon, a hint for later connections. It proves nothing: who answers there is
/// told by the keys of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerAddress {
    /// A UDP address. Scope and flow of an IPv6 address mean something on one machine only and do not
    /// travel.
    Ip(SocketAddr),
    /// The URL of the relay that the daemon is connected to, at most [`MAX_RELAY_URL`] bytes. A longer
    /// one is not sent.
    Relay(String),
}

const KIND_IP: u8 = 1;
const KIND_RELAY: u8 = 2;

/// An address as it travels: a kind and a text, so that a reader can step over kinds that it does not
/// know.
#[derive(Serialize, Deserialize)]
struct WireAddress {
    kind: u8,
    text: String,
}

impl WireAddress {
    /// `None` for an address that can't be sent.
    fn new(address: &PeerAddress) -> Option<Self> {
        let (kind, text) = match address {
            PeerAddress::Ip(address) => (KIND_IP, portable(*address).to_string()),
            PeerAddress::Relay(url) => {
                text::validate_within("relay", url, MAX_RELAY_URL).ok()?;
                (KIND_RELAY, url.clone())
            }
        };
        Some(Self { kind, text })
    }

    /// `None` for a kind that this version does not know.
    fn address(self) -> Result<Option<PeerAddress>, AddrParseError> {
        Ok(match self.kind {
            KIND_IP => Some(PeerAddress::Ip(portable(self.text.parse()?))),
            KIND_RELAY => Some(PeerAddress::Relay(self.text)),
            _ => None,
        })
    }
}

/// The address without what means something on one machine only.
fn portable(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// Serialises the first [`MAX_ADDRESSES`] addresses that can be sent.
pub(crate) fn serialize<S>(addresses: &[PeerAddress], serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
{
    let addresses: Vec<WireAddress> = addresses.iter().filter_map(WireAddress::new).take(MAX_ADDRESSES).collect();
    addresses.serialize(serializer)
}

/// Borrowed addresses that are serialised like that.
pub(crate) struct Addresses<'a>(pub(crate) &'a [PeerAddress]);

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self.0, serializer)
    }
}

/// Deserialises addresses, without those of an unknown kind.
pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<Vec<PeerAddress>, D::Error>
where
    D: Deserializer<'de>,
{
    list::deserialize::<D, WireAddress, MAX_ADDRESSES>(deserializer)?
        .into_iter()
        .filter_map(|address| address.address().map_err(D::Error::custom).transpose())
        .collect()
}

/// Checks addresses that were received.
pub(crate) fn validate(addresses: &[PeerAddress]) -> Result<(), FieldError> {
    addresses.iter().try_for_each(|address| match address {
        PeerAddress::Ip(_) => Ok(()),
        PeerAddress::Relay(url) => text::validate_within("relay", url, MAX_RELAY_URL),
    })
}
