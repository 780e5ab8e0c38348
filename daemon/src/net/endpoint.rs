//! The iroh endpoint and its transport settings.

use std::{net::SocketAddr, time::Duration};

use iroh::{
    Endpoint, RelayMap, RelayMode, SecretKey,
    endpoint::{BindOpts, PortmapperConfig, QuicTransportConfig, VarInt, presets},
    tls::CaTlsConfig,
};
use p2pusb_protocol::{ALPN, MAX_LANES, PAIRING_ALPN};
use tracing::debug;

use crate::config::{Network, Relay, own_relay};

/// A silent connection is given up after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// An idle connection says that it is alive this often.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A path that goes dark is left after this time (iroh's default of 15 s is a stall that people notice) …
const PATH_IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// … and is asked for a sign of life this often.
const PATH_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// What a stream may have in flight. More than 2 MiB makes noq give up the whole connection after a burst of
/// loss (“too many gaps in stream buffer”).
const STREAM_WINDOW: u32 = 2 << 20;
/// What a connection may have in flight towards us.
const RECEIVE_WINDOW: u32 = 16 << 20;
/// What we may have in flight.
const SEND_WINDOW: u64 = 16 << 20;
/// Sessions that one link can carry at a time, in streams: a lane is a stream, the control stream is one.
const MAX_STREAMS: u32 = 64 * MAX_LANES as u32 + 1;

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address of the configuration can't be bound.
    #[error("the network endpoint can't be opened on {addresses}: {source}")]
    Bind {
        /// Which addresses.
        addresses: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn transport() -> QuicTransportConfig {
    let idle = IDLE_TIMEOUT.try_into().unwrap_or_else(|_| unreachable!("seconds fit into a QUIC idle timeout"));
    QuicTransportConfig::builder()
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_max_idle_timeout(PATH_IDLE_TIMEOUT)
        .default_path_keep_alive_interval(PATH_KEEP_ALIVE)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .build()
}

/// Opens the endpoint. It waits neither for a relay nor for the internet.
///
/// `last_port` is the port of the last run: peers remember where they found us, and without a relay that is
/// all they have. Where the configuration leaves the port open (0), that one is tried first.
pub async fn bind(key: SecretKey, network: &Network, last_port: Option<u16>) -> Result<Endpoint, BindError> {
    let open = network.bind.iter().any(|address| address.port() == 0);
    if let (true, Some(port)) = (open, last_port) {
        match bind_to(&key, network, port).await {
            Ok(endpoint) => return Ok(endpoint),
            Err(error) => debug!("the port of the last run can't be had, taking another: {error}"),
        }
    }
    bind_to(&key, network, 0).await
}

async fn bind_to(key: &SecretKey, network: &Network, port: u16) -> Result<Endpoint, BindError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| BindError::Bind {
        addresses: network.bind.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", "),
        source,
    };
    let relay = match &network.relay {
        Relay::None => RelayMode::Disabled,
        Relay::Public => RelayMode::Default,
        Relay::Url(url) => RelayMode::Custom(RelayMap::from(own_relay(url, network.relay_quic_port))),
    };
    let mut builder = match network.relay {
        Relay::Public => Endpoint::builder(presets::N0),
        _ => Endpoint::builder(presets::Minimal),
    };
    builder = builder
        .secret_key(key.clone())
        .alpns(vec![ALPN.to_vec(), PAIRING_ALPN.to_vec()])
        .relay_mode(relay)
        // Beside the web's, not in their place: a peer's own relay is another one, and its certificate may be the web's.
        .ca_tls_config(CaTlsConfig::embedded().with_extra_roots(network.relay_ca.certificates().iter().cloned()))
        // Asking the gateway for a port is for those who chose the public relays; a machine without any
        // relay sends nothing beyond its own network to anybody but its peers.
        .portmapper_config(if network.relay == Relay::Public {
            PortmapperConfig::default()
        } else {
            PortmapperConfig::Disabled
        })
        .transport_config(transport())
        .clear_ip_transports();
    for address in &network.bind {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(port);
        }
        // A kernel without IPv6 is no reason to serve nobody.
        let required = !(address.is_ipv6() && address.ip().is_unspecified());
        builder = builder
            .bind_addr_with_opts(address, BindOpts::default().set_is_required(required))
            .map_err(|error| fail(Box::new(error)))?;
    }
    builder.bind().await.map_err(|error| fail(Box::new(error)))
}
