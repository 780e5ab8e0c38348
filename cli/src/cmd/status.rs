//! `p2pusb status`: the daemon, what is attached here, what is shared from here, what ended lately.

mod watch;

use std::time::Duration;

use p2pusb_dbus::values::{AttachmentState, EndReason, ShareOrigin};
use serde::Serialize;

use self::watch::Rates;
use super::{attachment_state, end_reason, peers, share_state};
use crate::{
    args::Status,
    bus::Bus,
    duration,
    exit::Failure,
    format::{Cell, Colours, Table, Tone, ago, bytes, left, now_usec, rate, rtt},
    json,
    report::Report,
    snapshot::{Share, Snapshot},
};

/// How to stop what would happen by itself.
const WAITING: &str = "  What waits is attached again when its peer offers it; `p2pusb detach NUMBER` ends that.\n";

#[derive(Serialize)]
pub(super) struct Json {
    daemon: json::Daemon,
    attachments: Vec<json::Attachment>,
    shares: Vec<json::Share>,
    peers: Vec<json::Peer>,
    recently_ended: Vec<json::Ended>,
}

pub(super) async fn run(bus: &Bus, args: &Status, as_json: bool) -> Result<Report, Failure> {
    if args.watch {
        return watch::run(bus, as_json).await;
    }
    Ok(report(&bus.snapshot().await?, now_usec(), Colours::of_stdout(), None))
}

/// Everything that goes on, for programs and for reports.
pub(super) fn json(all: &Snapshot) -> Json {
    Json {
        daemon: (&all.manager).into(),
        attachments: all.attachments.iter().map(|a| json::Attachment::new(all, a)).collect(),
        shares: all.shares.iter().map(|share| json::Share::new(all, share)).collect(),
        peers: all.peers.iter().map(Into::into).collect(),
        recently_ended: json::recently_ended(&all.manager),
    }
}

fn report(all: &Snapshot, now_usec: u64, colours: Colours, rates: Option<&Rates>) -> Report {
    let mut text = format!(
        "p2pusbd {}, {}, relay: {}\nendpoint id {}\n",
        all.manager.version, all.manager.state, all.manager.relay_mode, all.manager.endpoint_id
    );
    if !all.manager.problems.is_empty() {
        text.push_str(&format!("\n{}\n", colours.paint(Tone::Bad, "Problems")));
        for problem in &all.manager.problems {
            text.push_str(&format!("  {problem}\n"));
        }
    }
    section(&mut text, colours, "Attached here", "nothing", attachments(all, now_usec, rates));
    if all
        .attachments
        .iter()
        .any(|attachment| AttachmentState::from_value(&attachment.state) == AttachmentState::Waiting)
    {
        text.push_str(WAITING);
    }
    for attachment in &all.attachments {
        // What has no word of its own is a sentence.
        let reason = &attachment.last_error;
        let has_word = reason.is_empty() || EndReason::from_value(reason) != EndReason::Unknown;
        if AttachmentState::from_value(&attachment.state) == AttachmentState::Waiting && !has_word {
            text.push_str(&format!("  {}: {reason}\n", attachment.number));
        }
    }
    section(&mut text, colours, "Shared from here", "nothing", shares(all, now_usec));
    let known = (!all.peers.is_empty()).then(|| peers::table(all, now_usec));
    section(&mut text, colours, "Peers", "none", known);
    if !all.manager.recently_ended.is_empty() {
        section(&mut text, colours, "Ended lately", "", ended(all, now_usec));
    }
    Report::new(text, &json(all))
}

fn section(text: &mut String, colours: Colours, title: &str, empty: &str, table: Option<Table>) {
    text.push_str(&format!("\n{}", colours.paint(Tone::Heading, title)));
    match table {
        Some(table) => text.push_str(&format!("\n{}", table.render(colours, "  "))),
        None => text.push_str(&format!(": {empty}\n")),
    }
}

fn attachments(all: &Snapshot, now_usec: u64, rates: Option<&Rates>) -> Option<Table> {
    let mut headings = vec!["NUMBER", "BUS PATH", "PEER", "PRODUCT", "STATE", "SINCE", "IN", "OUT"];
    if rates.is_some() {
        headings.extend(["PATH", "RTT", "IN/S", "OUT/S"]);
    }
    let mut table = Table::with_headings(&headings);
    for attachment in &all.attachments {
        let product = all.remote_device(&attachment.remote_device).map(|device| device.name());
        let mut cells = vec![
            attachment.number.to_string().into(),
            attachment.local_bus_path.as_str().into(),
            all.peer_name(&attachment.peer).into(),
            product.unwrap_or_else(|| attachment.product.clone()).into(),
            attachment_state(attachment, now_usec),
            ago(attachment.since, now_usec).into(),
            bytes(attachment.bytes_in).into(),
            bytes(attachment.bytes_out).into(),
        ];
        if let Some(rates) = rates {
            let peer = all.peer(&attachment.peer).filter(|peer| peer.path_kind != "none");
            let rate = rates.of(attachment);
            cells.extend([
                peer.map_or("", |peer| &peer.path_kind).into(),
                peer.map(|peer| rtt(peer.rtt_usec)).unwrap_or_default().into(),
                format!("{}/s", bytes(rate.bytes_in)).into(),
                format!("{}/s", bytes(rate.bytes_out)).into(),
            ]);
        }
        table.row(cells);
    }
    (!all.attachments.is_empty()).then_some(table)
}

fn shares(all: &Snapshot, now_usec: u64) -> Option<Table> {
    let mut table = Table::with_headings(&["ID", "BUS PATH", "PRODUCT", "STATE", "FOR"]);
    for share in &all.shares {
        let device = share.device.as_ref().and_then(|path| all.device(path));
        table.row([
            share.id.as_str().into(),
            device.map_or("", |device| &device.bus_path).into(),
            device.map_or_else(|| share.product.clone(), |device| device.name()).into(),
            share_state(all, share, now_usec),
            format!("{}{}{}{}", for_whom(all, share), terms(share, now_usec), origin(share), queue(all, share)).into(),
        ]);
    }
    (!all.shares.is_empty()).then_some(table)
}

/// Who may attach a shared device.
pub(super) fn for_whom(all: &Snapshot, share: &Share) -> String {
    // As a rule has it: not all of them need be paired.
    if !share.peer_names.is_empty() {
        return share.peer_names.join(", ");
    }
    if share.peers.is_empty() {
        return "every paired peer".to_owned();
    }
    share.peers.iter().map(|peer| all.peer_name(peer)).collect::<Vec<_>>().join(", ")
}

/// Who waits for it, the next one first.
fn queue(all: &Snapshot, share: &Share) -> String {
    let waiting: Vec<String> = share.queue.iter().map(|peer| all.peer_name(peer)).collect();
    if waiting.is_empty() { String::new() } else { format!("; waiting: {}", waiting.join(", ")) }
}

/// Until when, at which hours, for how long at a time, how fast, and whether only with a PIN.
fn terms(share: &Share, now_usec: u64) -> String {
    let mut text = String::new();
    if share.expires != 0 {
        text += &format!(", {}", left(share.expires, now_usec));
    }
    if share.once {
        text += ", once";
    }
    if !share.windows.is_empty() {
        text += &format!(", {}", share.windows.join(" and "));
    }
    if share.session_limit != 0 {
        text += &format!(", {} at a time", duration::words(Duration::from_secs(share.session_limit.into())));
    }
    if share.ask {
        text += ", somebody is asked";
    }
    if share.bandwidth != 0 {
        text += &format!(", {} at most", rate(share.bandwidth));
    }
    if !share.follows.is_empty() {
        text += &format!(", also as {}", share.follows.join(" or "));
    }
    if share.pin_protected {
        text += ", with a PIN";
    }
    text
}

/// What a share comes from, where no person has made it.
fn origin(share: &Share) -> &'static str {
    match ShareOrigin::from_value(&share.origin) {
        ShareOrigin::Udev => ", by a udev rule",
        ShareOrigin::Rule => ", by a rule of the settings",
        _ => "",
    }
}

/// Newest first: that is what people look for.
fn ended(all: &Snapshot, now_usec: u64) -> Option<Table> {
    let mut table = Table::new();
    for (when, peer, product, reason) in all.manager.recently_ended.iter().rev() {
        table.row([
            Cell::new(ago(*when, now_usec), Tone::Dim),
            peer.as_str().into(),
            product.as_str().into(),
            end_reason(reason).into(),
        ]);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn everything_that_goes_on_is_told() {
        let mut all = example();
        all.manager.recently_ended.push((31_000_000, "laptop".to_owned(), "Disk".to_owned(), "detached".to_owned()));
        assert_eq!(
            report(&all, 61_000_000, Colours::none(), None).text,
            "\
p2pusbd 0.1.0, running, relay: none
endpoint id \n
Attached here
  NUMBER  BUS PATH  PEER      PRODUCT       STATE     SINCE      IN      OUT
  1       9-1       Workshop  Cruzer Blade  attached  1 min ago  1.5 MB  0 B

Shared from here
  ID        BUS PATH  PRODUCT               STATE               FOR
  00000bad            Dongle                not plugged in      every paired peer
  00c0ffee  1-2       FTDI FT232R USB UART  in use by Workshop  Workshop

Peers
  PEER      ENDPOINT ID  STATE    PATH    RTT      LAST SEEN
  laptop    8f99000000   offline                   1 min ago
  Workshop  8f0c6a1d2b   online   direct  20.5 ms  now

Ended lately
  30 s ago   laptop    Disk         detached
  1 min ago  Workshop  Scanner\u{fffd}[2J  the peer could not be reached for too long
"
        );
    }

    #[test]
    fn a_lost_connection_is_told_on_both_sides_with_the_time_that_is_left() {
        let mut all = example();
        (all.attachments[0].state, all.shares[1].state) = ("reconnecting".to_owned(), "reconnecting".to_owned());
        (all.attachments[0].reconnect_deadline, all.shares[1].reconnect_deadline) = (101_000_000, 101_000_000);
        let text = report(&all, 61_000_000, Colours::none(), None).text;
        assert!(text.contains("Cruzer Blade  reconnecting, 40 s left  1 min ago"), "{text}");
        assert!(text.contains("FT232R USB UART  reconnecting to Workshop, 40 s left  Workshop"), "{text}");
        assert!(!text.contains("p2pusb detach"), "{text}");
    }

    #[test]
    fn what_is_waited_for_is_told_with_the_way_to_end_that() {
        let mut all = example();
        all.attachments[0].state = "waiting".to_owned();
        all.attachments[0].last_error = "peer-lost".to_owned();
        let text = report(&all, 61_000_000, Colours::none(), None).text;
        assert!(text.contains("Cruzer Blade  waiting for the peer  1 min ago"), "{text}");
        assert!(text.contains("when its peer offers it; `p2pusb detach NUMBER` ends that.\n\nShared"), "{text}");
        all.attachments[0].last_error = "Disk is another one".to_owned();
        let text = report(&all, 61_000_000, Colours::none(), None).text;
        assert!(text.contains("ends that.\n  1: Disk is another one\n\nShared"), "{text}");
    }

    #[test]
    fn what_a_rule_shares_is_told_as_the_rule_has_it() {
        let mut all = example();
        all.shares[0].origin = "rule".to_owned();
        all.shares[1].origin = "udev".to_owned();
        all.shares[1].peer_names = vec!["Workshop".to_owned(), "desk".to_owned()];
        let text = report(&all, 61_000_000, Colours::none(), None).text;
        assert!(text.contains("every paired peer, by a rule of the settings\n"), "{text}");
        assert!(text.contains("Workshop, desk, by a udev rule\n"), "{text}");
    }

    #[test]
    fn problems_are_told_first() {
        let mut all = example();
        all.manager.problems = vec!["a damaged file was set aside".to_owned()];
        let report = report(&all, 61_000_000, Colours::none(), None);
        assert!(
            report.text.contains("\nProblems\n  a damaged file was set aside\n\nAttached here\n"),
            "{}",
            report.text
        );
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(json["daemon"]["problems"], serde_json::json!(["a damaged file was set aside"]));
    }

    #[test]
    fn the_time_is_told_on_both_sides() {
        let mut all = example();
        all.attachments[0].ends_at = 361_000_000;
        (all.shares[0].expires, all.shares[0].once) = (7_261_000_000, true);
        (all.shares[1].windows, all.shares[1].session_limit) = (vec!["mon-fri 08:00-18:00".to_owned()], 3600);
        all.shares[1].follows = vec!["2e8a:0003".to_owned(), "1209:*".to_owned()];
        all.shares[1].pin_protected = true;
        let text = report(&all, 61_000_000, Colours::none(), None).text;
        assert!(text.contains("Cruzer Blade  attached, 5 min left  1 min ago"), "{text}");
        assert!(text.contains("every paired peer, 2 h left, once\n"), "{text}");
        let terms = "Workshop, mon-fri 08:00-18:00, 1 h at a time, also as 2e8a:0003 or 1209:*, with a PIN\n";
        assert!(text.contains(terms), "{text}");
        all.shares[1].state = "closed".to_owned();
        assert!(report(&all, 61_000_000, Colours::none(), None).text.contains("not at this hour"));
    }

    #[test]
    fn nothing_is_told_in_few_words() {
        let text = report(&Snapshot::default(), 0, Colours::none(), None).text;
        assert!(text.ends_with("\nAttached here: nothing\n\nShared from here: nothing\n\nPeers: none\n"), "{text}");
    }

    #[test]
    fn json_has_the_documented_shape() {
        let report = report(&example(), 0, Colours::none(), None);
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(json["daemon"]["version"], "0.1.0");
        let attachment = &json["attachments"][0];
        assert_eq!((&attachment["number"], &attachment["bus_path"]), (&1.into(), &"9-1".into()));
        assert_eq!(attachment["last_error"], serde_json::Value::Null);
        assert_eq!((&attachment["grace"], &attachment["keep"]), (&200.into(), &true.into()));
        assert_eq!(attachment["reconnect_deadline_usec"], 0);
        let share = &json["shares"][1];
        assert_eq!(share["claimed_by"]["label"], "Workshop");
        assert_eq!((&share["grace"], &share["reconnect_deadline_usec"]), (&5.into(), &0.into()));
        assert_eq!(share["peers"][0]["endpoint_id"], crate::snapshot::tests::WORKSHOP);
        assert_eq!((&share["origin"], &share["peer_names"]), (&"person".into(), &serde_json::json!([])));
        assert_eq!(json["shares"][0]["bus_path"], serde_json::Value::Null);
        assert_eq!((&json["peers"][1]["label"], &json["peers"][1]["path"]), (&"Workshop".into(), &"direct".into()));
        assert_eq!(json["recently_ended"][0]["reason"], "peer-lost");
        assert_eq!(json["recently_ended"][0]["time_usec"], 1_000_000);
    }
}
