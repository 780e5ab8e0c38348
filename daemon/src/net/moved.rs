//! Begins anew with everybody when this machine has lost one of its addresses.

use std::{collections::BTreeSet, net::IpAddr};

use iroh::{Endpoint, Watcher as _};
use nix::ifaddrs::getifaddrs;
use tracing::{info, warn};

use crate::{engine::EngineHandle, share::Claims};

/// Follows this machine's addresses for as long as it is polled.
///
/// A connection that went by an address which is gone would be dark until it is given up, and iroh sends what is new on the
/// path that it has chosen before as long as there is any connection to the peer. Sessions outlive connections, so all are
/// left; a path that would have gone on all the same costs a pause of two round trips.
pub(crate) async fn follow(endpoint: Endpoint, engine: EngineHandle, claims: Claims) {
    let mut news = endpoint.watch_addr();
    let mut own = own_addresses();
    // An error is the end of the endpoint.
    while news.updated().await.is_ok() {
        let now = own_addresses();
        if own.iter().any(|address| !now.contains(address)) {
            info!("this machine has moved to other addresses: it connects anew to all peers");
            claims.leave_all();
            engine.moved().await;
        }
        own = now;
    }
}

/// The addresses of this machine's interfaces that lead anywhere.
pub(super) fn own_addresses() -> BTreeSet<IpAddr> {
    let interfaces = match getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            warn!("the kernel does not tell this machine's addresses: {error}");
            return BTreeSet::new();
        }
    };
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    };
    interfaces.filter_map(address).filter(leads_somewhere).collect()
}

fn leads_somewhere(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_nowhere_is_not_missed() {
        let leads = |text: &str| leads_somewhere(&text.parse().unwrap());
        assert!(["10.0.0.1", "192.168.1.7", "2001:db8::1", "fd00::1"].into_iter().all(leads));
        assert!(!["127.0.0.1", "169.254.3.4", "::1", "fe80::1"].into_iter().any(leads));
    }

    #[test]
    fn the_kernel_tells() {
        assert!(own_addresses().iter().all(leads_somewhere));
    }
}
