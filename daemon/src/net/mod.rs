//! The network: one iroh endpoint, links to peers, pairing.
//!
//! A *link* is a connection that an importer opens to an exporter. Two machines that use each other's
//! devices have two links, one each way: each link has one direction for requests, and so no question who
//! may ask what. The importer's end is `link`, the exporter's end is `serve`; both speak the control
//! stream and hand lanes to the sessions.
//!
//! Nothing listens to strangers: `accept` closes a connection whose key is not in [`Admission`] before it
//! reads a byte of it. Pairing has a protocol name (ALPN) of its own, see `pairing` and `agreement`.

pub(crate) mod accept;
mod admission;
pub(crate) mod agreement;
mod endpoint;
pub(crate) mod frames;
pub(crate) mod lan;
pub(crate) mod link;
pub(crate) mod moved;
pub(crate) mod pairing;
pub(crate) mod relay;
mod serve;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod ticket;

pub(crate) use self::admission::{BLOCKED, Standing};
pub use self::{
    admission::Admission,
    endpoint::{BindError, bind},
};

use std::net::SocketAddr;

use iroh::{
    EndpointAddr, RelayUrl, TransportAddr,
    endpoint::{Connection, ConnectionError},
};
use p2pusb_protocol::{CloseCode, EndReason, MAX_ADDRESSES, PeerAddress};

use crate::peer::PeerId;

/// How a connection is closed: one of the protocol's codes, and a sentence for the other side's people.
pub(crate) fn close(connection: &Connection, code: CloseCode, reason: &str) {
    // A second close would hide why the first one happened.
    if connection.close_reason().is_none() {
        connection.close((code as u32).into(), reason.as_bytes());
    }
}

/// Why the sessions of a connection that has ended are over, `None` where they may go on over another one: nobody
/// wanted it to end.
pub(crate) fn final_reason(connection: &Connection) -> Option<EndReason> {
    match connection.close_reason()? {
        ConnectionError::ApplicationClosed(closed) => match CloseCode::from_u64(closed.error_code.into_inner()) {
            Some(CloseCode::ShuttingDown) => Some(EndReason::PeerStopped),
            Some(CloseCode::NotPaired | CloseCode::Forgotten) => Some(EndReason::PeerForgotten),
            Some(CloseCode::Blocked) => Some(EndReason::PeerBlocked),
            Some(CloseCode::Normal) => Some(EndReason::PeerLost),
            Some(CloseCode::Replaced) => None,
            _ => Some(EndReason::ProtocolError),
        },
        ConnectionError::LocallyClosed => Some(EndReason::ProtocolError),
        _ => None,
    }
}

/// An address as text, for the peer's file: `IP:PORT` or a relay's URL.
pub(crate) fn address_to_text(address: &PeerAddress) -> String {
    match address {
        PeerAddress::Ip(address) => address.to_string(),
        PeerAddress::Relay(url) => url.clone(),
    }
}

/// The other way. Text that is neither counts as no address.
pub(crate) fn address_from_text(text: &str) -> Option<PeerAddress> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(PeerAddress::Ip(address));
    }
    text.parse::<RelayUrl>().ok().map(|url| PeerAddress::Relay(url.to_string()))
}

/// Where iroh shall look for a peer.
pub(crate) fn endpoint_addr(peer: PeerId, addresses: &[PeerAddress]) -> EndpointAddr {
    let transports = addresses.iter().filter_map(|address| match address {
        PeerAddress::Ip(address) => Some(TransportAddr::Ip(*address)),
        PeerAddress::Relay(url) => url.parse().ok().map(TransportAddr::Relay),
    });
    EndpointAddr::from_parts(peer.into(), transports)
}

/// Where this machine can be found, as its peers are told.
pub(crate) fn own_addresses(endpoint: &iroh::Endpoint) -> Vec<PeerAddress> {
    let own = endpoint.addr();
    let relays = own.relay_urls().map(|url| PeerAddress::Relay(url.to_string()));
    let ips = own.ip_addrs().map(|address| PeerAddress::Ip(*address));
    relays.chain(ips).take(MAX_ADDRESSES).collect()
}
