//! `p2pusb peers`: the paired machines.

use serde::Serialize;

use super::peer_state;
use crate::{
    bus::Bus,
    exit::Failure,
    format::{Cell, Colours, Table, ago, left, now_usec, rtt},
    json,
    report::Report,
    snapshot::{Peer, Snapshot},
};

#[derive(Serialize)]
struct Json {
    peers: Vec<json::Peer>,
}

pub(super) async fn run(bus: &Bus) -> Result<Report, Failure> {
    Ok(report(&bus.snapshot().await?, now_usec(), Colours::of_stdout()))
}

pub(super) fn report(all: &Snapshot, now_usec: u64, colours: Colours) -> Report {
    let json = Json { peers: all.peers.iter().map(Into::into).collect() };
    if all.peers.is_empty() {
        let text = "No machine is paired with this one: see p2pusb invite and p2pusb pair.\n";
        return Report::new(text, &json);
    }
    let mut text = table(all, now_usec).render(colours, "");
    for peer in all.peers.iter().filter(|peer| !peer.last_error.is_empty()) {
        text.push_str(&format!("{}: {}\n", peer.name(), peer.last_error));
    }
    for peer in &all.peers {
        text.push_str(&limits(all, peer, now_usec));
    }
    Report::new(text, &json)
}

/// Every peer, and the way to it.
pub(super) fn table(all: &Snapshot, now_usec: u64) -> Table {
    let mut table = Table::with_headings(&["PEER", "ENDPOINT ID", "STATE", "PATH", "RTT", "LAST SEEN"]);
    for peer in &all.peers {
        table.row(row(peer, now_usec));
    }
    table
}

/// What a pairing is limited to, in a line.
fn limits(all: &Snapshot, peer: &Peer, now_usec: u64) -> String {
    let share = |path: &String| match all.share(path) {
        Some(share) => format!("may use {} only", share.product),
        None => "may use nothing: its device is not shared any more".to_owned(),
    };
    let scope = peer.scope.as_ref().map(share);
    let until = (peer.until != 0).then(|| format!("is paired for a time, {}", left(peer.until, now_usec)));
    let limits: Vec<_> = scope.into_iter().chain(until).collect();
    if limits.is_empty() { String::new() } else { format!("{} {}\n", peer.name(), limits.join(", and ")) }
}

fn row(peer: &Peer, now_usec: u64) -> [Cell; 6] {
    let online = peer.state == "online";
    let path = if peer.path_kind == "none" { "" } else { &peer.path_kind };
    let seen = if online { "now".to_owned() } else { ago(peer.last_seen, now_usec) };
    [
        peer.name().into(),
        peer.short_id().into(),
        peer_state(peer),
        path.into(),
        if online { rtt(peer.rtt_usec) } else { String::new() }.into(),
        seen.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn peers_are_listed_with_their_state() {
        let mut all = example();
        all.peers[0].last_error = "laptop can't be reached: timed out".to_owned();
        assert_eq!(
            report(&all, 121_000_000, Colours::none()).text,
            "\
PEER      ENDPOINT ID  STATE    PATH    RTT      LAST SEEN
laptop    8f99000000   offline                   2 min ago
Workshop  8f0c6a1d2b   online   direct  20.5 ms  now
laptop: laptop can't be reached: timed out
"
        );
    }

    #[test]
    fn a_blocked_peer_is_shown_as_such() {
        let mut all = example();
        all.peers[0].trust = "blocked".to_owned();
        let text = report(&all, 121_000_000, Colours::none()).text;
        assert!(text.contains("laptop    8f99000000   blocked                   2 min ago\n"), "{text}");
    }

    #[test]
    fn what_a_guest_may_is_said() {
        let mut all = example();
        (all.peers[0].scope, all.peers[0].until) = (Some(all.shares[0].path.clone()), 181_000_000);
        all.peers[1].scope = Some("/org/p2pusb1/shares/0badcafe".to_owned());
        let text = report(&all, 121_000_000, Colours::none()).text;
        let expected = "\
laptop may use Dongle only, and is paired for a time, 1 min left
Workshop may use nothing: its device is not shared any more
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn nobody_is_paired_at_first() {
        assert!(report(&Snapshot::default(), 0, Colours::none()).text.contains("p2pusb pair"));
    }

    #[test]
    fn json_has_the_documented_shape() {
        let report = report(&example(), 0, Colours::none());
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(
            json["peers"][1],
            serde_json::json!({
                "object": "/org/p2pusb1/peers/8f0c6a1d2b3e4f50",
                "endpoint_id": crate::snapshot::tests::WORKSHOP,
                "label": "Workshop",
                "trust": "paired",
                "scope": null,
                "until_usec": 0,
                "state": "online",
                "last_error": null,
                "path": "direct",
                "rtt_usec": 20500,
                "bandwidth": 0, "last_seen_usec": 1000000,
            })
        );
    }
}
