//! The endpoint, the relay, and the NAT that iroh has found.

use std::{net::IpAddr, time::Duration};

use iroh::{Endpoint, RelayUrl, Watcher as _, endpoint::RelayStatus, unstable_net_report::NetReport};
use p2pusb_dbus::names::diagnosis::{NAT, RELAY, UDP};

use tokio::time::timeout;

use super::{Finding, State};
use crate::config::Relay;

/// A relay that is there is connected within this, also when the daemon was started just now.
const RELAY_MAX: Duration = Duration::from_secs(3);

pub(super) async fn findings(endpoint: &Endpoint, relay: &Relay) -> Vec<Finding> {
    if *relay != Relay::None {
        // What it comes to is read below.
        let _ = timeout(RELAY_MAX, endpoint.online()).await;
    }
    let addresses: Vec<_> = endpoint.addr().ip_addrs().map(|address| address.ip()).collect();
    let ports: Vec<_> = endpoint.bound_sockets().iter().map(|address| address.to_string()).collect();
    let connected: Vec<_> = endpoint.home_relay_status().get();
    vec![udp(&ports, &addresses), self::relay(relay, &connected), nat(endpoint.net_report().get().as_ref(), &addresses)]
}

fn udp(ports: &[String], addresses: &[IpAddr]) -> Finding {
    if ports.is_empty() {
        return Finding::new(UDP, State::Problem, "no UDP port is open; restart p2pusbd, and see its log");
    }
    if addresses.iter().all(IpAddr::is_loopback) {
        let detail = "this machine has no address by which others could find it: is the network up?";
        return Finding::new(UDP, State::Problem, detail);
    }
    Finding::new(UDP, State::Ok, format!("UDP is received on {}", ports.join(" and ")))
}

fn relay(relay: &Relay, status: &[RelayStatus]) -> Finding {
    if *relay == Relay::None {
        return Finding::new(RELAY, State::Ok, "no relay is set: peers are reached directly or not at all");
    }
    if let Some(connected) = status.iter().find(|relay| relay.is_connected()) {
        return Finding::new(RELAY, State::Ok, format!("{} is connected", shown(connected.url())));
    }
    let name = match relay {
        Relay::Url(url) => format!("the relay {}", shown(url)),
        _ => "each of the public relays".to_owned(),
    };
    // iroh tells nothing of a relay that has never answered.
    let why = status.iter().find_map(RelayStatus::last_error);
    let why = why.map_or_else(|| "no answer".to_owned(), |error| format!("{error:#}"));
    let detail = format!(
        "{name} can't be reached ({why}): see whether its address and certificate are right in p2pusb.toml, and whether \
         this network lets TCP and UDP through to it"
    );
    Finding::new(RELAY, State::Problem, detail)
}

/// A relay without what else its address may have in it: a password.
fn shown(url: &RelayUrl) -> String {
    url.origin().ascii_serialization()
}

fn nat(report: Option<&NetReport>, addresses: &[IpAddr]) -> Finding {
    let global = report.and_then(|report| {
        let v4 = report.global_v4.map(|address| IpAddr::from(*address.ip()));
        v4.or(report.global_v6.map(|address| IpAddr::from(*address.ip())))
    });
    let Some((report, global)) = report.zip(global) else {
        let detail = "how this machine looks from outside is not known: only a relay with TLS can tell";
        return Finding::new(NAT, State::Note, detail);
    };
    if addresses.contains(&global) && is_local(global) {
        return Finding::new(NAT, State::Ok, "there is no NAT");
    }
    match report.mapping_varies_by_dest() {
        Some(false) => Finding::new(NAT, State::Ok, "there is a NAT, of the kind that direct paths get through"),
        Some(true) => {
            let detail = "the NAT of this network gives each peer another port (symmetric NAT): where the other machine \
                          has no public address either, data takes the relay";
            Finding::new(NAT, State::Note, detail)
        }
        None => {
            let detail = "there is a NAT; whether direct paths get through it, only a second relay could tell";
            Finding::new(NAT, State::Note, detail)
        }
    }
}

/// Whether an address is one of this machine's own interfaces.
fn is_local(address: IpAddr) -> bool {
    // The kernel knows: only what is its own can be bound.
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_network_is_told_from_one_with() {
        let ports = ["0.0.0.0:1".to_owned()];
        let state = |ports: &[String], addresses: &[&str]| {
            udp(ports, &addresses.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>()).state
        };
        assert_eq!(state(&ports, &["192.0.2.1", "127.0.0.1"]), State::Ok);
        assert_eq!(state(&ports, &["127.0.0.1", "::1"]), State::Problem);
        assert_eq!(state(&[], &["192.0.2.1"]), State::Problem);
    }

    #[test]
    fn no_relay_is_fine_and_a_silent_one_is_not() {
        assert_eq!(relay(&Relay::None, &[]).state, State::Ok);
        let url = Relay::try_from("https://user:hunter2@relay.example.org/".to_owned()).unwrap();
        let silent = relay(&url, &[]);
        assert_eq!(silent.state, State::Problem);
        assert!(silent.detail.contains("https://relay.example.org can't be reached"), "{}", silent.detail);
    }

    #[test]
    fn no_more_is_said_of_a_nat_than_is_known() {
        let seen_as = |global: &str, varies| {
            let mut report = NetReport::default();
            report.global_v4 = Some(global.parse().unwrap());
            report.mapping_varies_by_dest_ipv4 = varies;
            report
        };
        let said = |report: Option<NetReport>| {
            let found = nat(report.as_ref(), &["127.0.0.1".parse().unwrap()]);
            (found.state, found.detail)
        };
        assert_eq!(said(None).0, State::Note);
        assert_eq!(said(Some(seen_as("127.0.0.1:5", None))), (State::Ok, "there is no NAT".to_owned()));
        let outside = |varies| said(Some(seen_as("192.0.2.7:5", varies)));
        assert_eq!(outside(Some(false)).0, State::Ok);
        assert!(outside(Some(true)).1.contains("symmetric NAT"));
        assert!(outside(None).1.contains("second relay"));
    }
}
