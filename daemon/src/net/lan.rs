//! Finds machines on the local network by mDNS, and lets itself be found where the settings say so.
//!
//! What comes this way is anybody's word: it names a key and where its machine may be. It is used to dial, and whoever
//! answers there has to prove the key.

use std::time::Duration;

use futures_lite::StreamExt as _;
use iroh::{
    Endpoint, TransportAddr, Watcher as _,
    address_lookup::{AddressLookup as _, EndpointData, EndpointInfo},
};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use p2pusb_protocol::{MAX_ADDRESSES, PeerAddress};
use tokio::{sync::watch, time::timeout};
use tracing::{debug, info};

use super::{moved::own_addresses, serve::own_label};
use crate::{config::Mdns, engine::EngineHandle, peer::PeerId};

/// What machines with p2pusb are asked for by: `_p2pusb._udp.local`.
const SERVICE: &str = "p2pusb";
/// How often the network is asked who is there, while nobody else asks. A machine that comes is found within it.
const CADENCE: Duration = Duration::from_secs(10);
/// How long to wait before the next attempt where there is no network to ask.
const RETRY: Duration = Duration::from_secs(30);

/// Looks, and announces this machine as well where the settings say so or while machines may ask to be paired, for as long as
/// it is polled. Ends at once where the settings want neither.
pub(crate) async fn follow(endpoint: Endpoint, mdns: Mdns, engine: EngineHandle) {
    if mdns == Mdns::Off {
        return;
    }
    let mut news = endpoint.watch_addr();
    let mut accepting = engine.accepting();
    loop {
        let announce = mdns == Mdns::Announce || *accepting.borrow_and_update();
        let lookup = MdnsAddressLookup::builder()
            .advertise(announce)
            .service_name(SERVICE)
            .discovery_cadence(CADENCE)
            .build(endpoint.id());
        match lookup {
            Ok(lookup) => {
                info!(
                    "looking for machines on the local network{}",
                    if announce { ", and announcing this one" } else { "" }
                );
                let goes_on = tokio::select! {
                    goes_on = look(&lookup, &endpoint, &engine) => goes_on,
                    () = is_otherwise(&mut accepting, mdns) => true,
                };
                if !goes_on {
                    return;
                }
                engine.nobody_found().await;
            }
            Err(error) => {
                debug!("the local network can't be asked for machines: {error}");
                // With another address there may be one. An error is the end of the endpoint.
                if let Ok(Err(_)) = timeout(RETRY, news.updated()).await {
                    return;
                }
            }
        }
    }
}

/// Waits until this machine is to be announced and was not, or the other way round.
async fn is_otherwise(accepting: &mut watch::Receiver<bool>, mdns: Mdns) {
    // Without an engine nobody changes anything any more.
    if mdns == Mdns::Announce || accepting.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Tells the engine who comes and goes, until this machine has other addresses: its sockets are in the groups of the old
/// ones. False is the end of the endpoint.
async fn look(lookup: &MdnsAddressLookup, endpoint: &Endpoint, engine: &EngineHandle) -> bool {
    let mut news = endpoint.watch_addr();
    let interfaces = own_addresses();
    let mut events = lookup.subscribe().await;
    loop {
        publish(lookup, endpoint);
        tokio::select! {
            event = events.next() => match event {
                Some(DiscoveryEvent::Discovered { endpoint_info, .. }) => tell(engine, &endpoint_info).await,
                Some(DiscoveryEvent::Expired { endpoint_id }) => engine.lost(endpoint_id.into()).await,
                Some(_) => {}
                None => return true,
            },
            updated = news.updated() => match updated {
                Ok(_) if own_addresses() == interfaces => {}
                Ok(_) => return true,
                Err(_) => return false,
            },
        }
    }
}

/// Says where this machine is and what it is called; nobody hears of it unless the settings say so.
fn publish(lookup: &MdnsAddressLookup, endpoint: &Endpoint) {
    let mut data: EndpointData = endpoint.addr().addrs.into_iter().collect();
    // A label is shorter than what fits into a record.
    data.set_user_data(own_label().parse().ok());
    lookup.publish(&data);
}

async fn tell(engine: &EngineHandle, found: &EndpointInfo) {
    let address = |address: &TransportAddr| match address {
        TransportAddr::Ip(address) => Some(PeerAddress::Ip(*address)),
        TransportAddr::Relay(url) => Some(PeerAddress::Relay(url.to_string())),
        _ => None,
    };
    let addresses = found.addrs().filter_map(address).take(MAX_ADDRESSES).collect();
    let label = found.user_data().map(ToString::to_string).unwrap_or_default();
    engine.found(PeerId::from(found.endpoint_id), label, addresses).await;
}
