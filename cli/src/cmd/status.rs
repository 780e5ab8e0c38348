//! `p2pusb status`: the daemon, what is attached here, what is shared from here, what ended lately.

use p2pusb_dbus::values::{AttachmentState, ShareOrigin};
use serde::Serialize;

use super::{attachment_state, end_reason, share_state};
use crate::{
    bus::Bus,
    exit::Failure,
    format::{Cell, Colours, Table, Tone, ago, bytes, now_usec},
    json,
    report::Report,
    snapshot::{Share, Snapshot},
};

/// How to stop what would happen by itself.
const WAITING: &str = "  What waits is attached again when its peer offers it; `p2pusb detach NUMBER` ends that.\n";

#[derive(Serialize)]
struct Json {
    daemon: json::Daemon,
    attachments: Vec<json::Attachment>,
    shares: Vec<json::Share>,
    recently_ended: Vec<json::Ended>,
}

pub(super) async fn run(bus: &Bus) -> Result<Report, Failure> {
    Ok(report(&bus.snapshot().await?, now_usec(), Colours::of_stdout()))
}

fn report(all: &Snapshot, now_usec: u64, colours: Colours) -> Report {
    let json = Json {
        daemon: (&all.manager).into(),
        attachments: all.attachments.iter().map(|a| json::Attachment::new(all, a)).collect(),
        shares: all.shares.iter().map(|share| json::Share::new(all, share)).collect(),
        recently_ended: json::recently_ended(&all.manager),
    };
    let mut text = format!(
        "p2pusbd {}, {}, relay: {}\nendpoint id {}\n",
        all.manager.version, all.manager.state, all.manager.relay_mode, all.manager.endpoint_id
    );
    section(&mut text, colours, "Attached here", "nothing", attachments(all, now_usec));
    if all
        .attachments
        .iter()
        .any(|attachment| AttachmentState::from_value(&attachment.state) == AttachmentState::Waiting)
    {
        text.push_str(WAITING);
    }
    section(&mut text, colours, "Shared from here", "nothing", shares(all, now_usec));
    if !all.manager.recently_ended.is_empty() {
        section(&mut text, colours, "Ended lately", "", ended(all, now_usec));
    }
    Report::new(text, &json)
}

fn section(text: &mut String, colours: Colours, title: &str, empty: &str, table: Option<Table>) {
    text.push_str(&format!("\n{}", colours.paint(Tone::Heading, title)));
    match table {
        Some(table) => text.push_str(&format!("\n{}", table.render(colours, "  "))),
        None => text.push_str(&format!(": {empty}\n")),
    }
}

fn attachments(all: &Snapshot, now_usec: u64) -> Option<Table> {
    let mut table = Table::with_headings(&["NUMBER", "BUS PATH", "PEER", "PRODUCT", "STATE", "SINCE", "IN", "OUT"]);
    for attachment in &all.attachments {
        let product = all.remote_device(&attachment.remote_device).map(|device| device.name());
        table.row([
            attachment.number.to_string().into(),
            attachment.local_bus_path.as_str().into(),
            all.peer_name(&attachment.peer).into(),
            product.unwrap_or_else(|| attachment.product.clone()).into(),
            attachment_state(attachment, now_usec),
            ago(attachment.since, now_usec).into(),
            bytes(attachment.bytes_in).into(),
            bytes(attachment.bytes_out).into(),
        ]);
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
            format!("{}{}", for_whom(all, share), origin(share)).into(),
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

/// What a share comes from, where no person has made it.
fn origin(share: &Share) -> &'static str {
    match ShareOrigin::from_value(&share.origin) {
        ShareOrigin::Udev => ", by a udev rule",
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
            report(&all, 61_000_000, Colours::none()).text,
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
        let text = report(&all, 61_000_000, Colours::none()).text;
        assert!(text.contains("Cruzer Blade  reconnecting, 40 s left  1 min ago"), "{text}");
        assert!(text.contains("FT232R USB UART  reconnecting to Workshop, 40 s left  Workshop"), "{text}");
        assert!(!text.contains("p2pusb detach"), "{text}");
    }

    #[test]
    fn what_is_waited_for_is_told_with_the_way_to_end_that() {
        let mut all = example();
        all.attachments[0].state = "waiting".to_owned();
        let text = report(&all, 61_000_000, Colours::none()).text;
        assert!(text.contains("Cruzer Blade  waiting for the peer  1 min ago"), "{text}");
        assert!(text.contains("when its peer offers it; `p2pusb detach NUMBER` ends that.\n\nShared"), "{text}");
    }

    #[test]
    fn what_a_udev_rule_shares_is_told_as_the_rule_has_it() {
        let mut all = example();
        all.shares[0].origin = "udev".to_owned();
        all.shares[1].origin = "udev".to_owned();
        all.shares[1].peer_names = vec!["Workshop".to_owned(), "desk".to_owned()];
        let text = report(&all, 61_000_000, Colours::none()).text;
        assert!(text.contains("every paired peer, by a udev rule\n"), "{text}");
        assert!(text.contains("Workshop, desk, by a udev rule\n"), "{text}");
    }

    #[test]
    fn nothing_is_told_in_few_words() {
        let text = report(&Snapshot::default(), 0, Colours::none()).text;
        assert!(text.ends_with("\nAttached here: nothing\n\nShared from here: nothing\n"), "{text}");
    }

    #[test]
    fn json_has_the_documented_shape() {
        let report = report(&example(), 0, Colours::none());
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
        assert_eq!(json["recently_ended"][0]["reason"], "peer-lost");
        assert_eq!(json["recently_ended"][0]["time_usec"], 1_000_000);
    }
}
