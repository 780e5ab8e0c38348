//! The difference between two looks at the daemon: what appeared, what changed, what is gone, in the words of lists and
//! in the shapes of `--json`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    cmd::{attachment_state, device_state, end_reason, peer_state, share_state, status::for_whom},
    json,
    snapshot::Snapshot,
};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Event {
    /// It was there when the program began to look.
    Present,
    /// It is new.
    Appeared,
    /// Something about it is different.
    Changed,
    /// It is there no longer.
    Gone,
    /// The daemon is there.
    Started,
    /// The daemon is gone, and all objects with it.
    Stopped,
}

/// One thing that happened: a line of `p2pusb monitor`. The fields are documented in p2pusb-monitor(1).
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) time_usec: u64,
    pub(super) event: Event,
    pub(super) kind: &'static str,
    pub(super) object: String,
    pub(super) name: String,
    /// The fields of `is` that are different now.
    pub(super) changed: Vec<String>,
    /// The object as `--json` shows it elsewhere; one that is gone, as it was.
    pub(super) is: Value,
    /// The same for people; empty where nothing is different that they would see.
    #[serde(skip)]
    pub(super) words: Vec<String>,
}

/// An object as people and programs see it.
struct Seen {
    kind: &'static str,
    name: String,
    /// What is said of it, by what it is about.
    words: Vec<(&'static str, String)>,
    is: Value,
}

fn value(shape: impl Serialize) -> Value {
    // Plain structures with names for keys: nothing in them can fail.
    serde_json::to_value(shape).unwrap_or_default()
}

/// All objects, by their paths; the daemon itself is the root object.
fn objects(all: &Snapshot, now_usec: u64) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    for device in &all.devices {
        let words = vec![("state", device_state(all, device).into_text())];
        let name = format!("{} ({})", device.name(), device.bus_path);
        seen.insert(device.path.clone(), Seen { kind: "device", name, words, is: value(json::Device::from(device)) });
    }
    for share in &all.shares {
        let whom = format!("for {}", for_whom(all, share));
        let words = vec![("state", share_state(all, share, now_usec).into_text()), ("peers", whom)];
        let name = format!("{} ({})", share.product, share.id);
        let is = value(json::Share::new(all, share));
        seen.insert(share.path.clone(), Seen { kind: "share", name, words, is });
    }
    for peer in &all.peers {
        let path = if peer.path_kind == "none" { String::new() } else { peer.path_kind.clone() };
        let words = vec![("state", peer_state(peer).into_text()), ("path", path), ("error", peer.last_error.clone())];
        let is = value(json::Peer::from(peer));
        seen.insert(peer.path.clone(), Seen { kind: "peer", name: peer.name().to_owned(), words, is });
    }
    for device in &all.remote_devices {
        let words = vec![("available", if device.available { "available" } else { "not available" }.to_owned())];
        let name = format!("{} of {}", device.name(), all.peer_name(&device.peer));
        let is = value(json::RemoteDevice::new(all, device));
        seen.insert(device.path.clone(), Seen { kind: "remote-device", name, words, is });
    }
    for attachment in &all.attachments {
        let place = match attachment.local_bus_path.as_str() {
            "" => String::new(),
            bus_path => format!("as {bus_path}"),
        };
        let words = vec![("state", attachment_state(attachment, now_usec).into_text()), ("place", place)];
        let product = all.remote_device(&attachment.remote_device).map(|device| device.name());
        let product = product.unwrap_or_else(|| attachment.product.clone());
        let name = format!("{} {product} of {}", attachment.number, all.peer_name(&attachment.peer));
        let is = value(json::Attachment::new(all, attachment));
        seen.insert(attachment.path.clone(), Seen { kind: "attachment", name, words, is });
    }
    if !all.manager.version.is_empty() {
        seen.insert(p2pusb_dbus::names::ROOT_PATH.to_owned(), daemon(all));
    }
    seen
}

fn daemon(all: &Snapshot) -> Seen {
    let ended = all
        .manager
        .recently_ended
        .last()
        .map(|(_, peer, product, reason)| format!("{product} of {peer} has ended: {}", end_reason(reason)));
    let words = vec![
        ("state", all.manager.state.clone()),
        ("ended", ended.unwrap_or_default()),
        ("problems", all.manager.problems.join("; ")),
    ];
    let mut is = value(json::Daemon::from(&all.manager));
    is["recently_ended"] = value(json::recently_ended(&all.manager));
    Seen { kind: "daemon", name: format!("p2pusbd {}", all.manager.version), words, is }
}

impl Seen {
    fn change(self, time_usec: u64, event: Event, object: String) -> Change {
        let words = self.words.into_iter().map(|(_, words)| words).filter(|words| !words.is_empty()).collect();
        Change { time_usec, event, kind: self.kind, object, name: self.name, changed: Vec::new(), is: self.is, words }
    }
}

/// The daemon itself has come or gone.
pub(super) fn daemon_is(event: Event, time_usec: u64) -> Change {
    let (object, name) = (p2pusb_dbus::names::ROOT_PATH.to_owned(), "p2pusbd".to_owned());
    Change { time_usec, event, kind: "daemon", object, name, changed: Vec::new(), is: Value::Null, words: Vec::new() }
}

/// Everything that is there.
pub(super) fn present(all: &Snapshot, now_usec: u64) -> Vec<Change> {
    objects(all, now_usec).into_iter().map(|(path, seen)| seen.change(now_usec, Event::Present, path)).collect()
}

/// What is different. What is gone comes first: what is new may stand in its place.
pub(super) fn between(before: &Snapshot, after: &Snapshot, now_usec: u64) -> Vec<Change> {
    let (mut old, mut new) = (objects(before, now_usec), objects(after, now_usec));
    let mut changes = Vec::new();
    let gone: Vec<_> = old.keys().filter(|path| !new.contains_key(*path)).cloned().collect();
    for path in gone {
        if let Some(seen) = old.remove(&path) {
            changes.push(seen.change(now_usec, Event::Gone, path));
        }
    }
    while let Some((path, seen)) = new.pop_first() {
        match old.remove(&path) {
            None => changes.push(seen.change(now_usec, Event::Appeared, path)),
            Some(was) => changes.extend(difference(was, seen, path, now_usec)),
        }
    }
    changes
}

fn difference(was: Seen, mut seen: Seen, path: String, now_usec: u64) -> Option<Change> {
    let fields = seen.is.as_object().into_iter().flatten();
    let changed: Vec<_> =
        fields.filter(|(key, value)| was.is.get(key) != Some(*value)).map(|(key, _)| key.clone()).collect();
    if changed.is_empty() {
        return None;
    }
    seen.words.retain(|words| !was.words.contains(words));
    if was.name != seen.name {
        seen.words.insert(0, ("name", format!("was {}", was.name)));
    }
    Some(Change { changed, ..seen.change(now_usec, Event::Changed, path) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    fn told(changes: &[Change]) -> Vec<String> {
        changes.iter().map(|c| format!("{:?} {} {}: {}", c.event, c.kind, c.name, c.words.join(", "))).collect()
    }

    #[test]
    fn everything_that_is_there_has_a_name_and_words() {
        let told = told(&present(&example(), 61_000_000));
        for line in [
            "Present device FTDI FT232R USB UART (1-2): available",
            "Present share FT232R USB UART (00c0ffee): in use by Workshop, for Workshop",
            "Present peer Workshop: online, direct",
            "Present remote-device Webcam C270 of Workshop: available",
            "Present attachment 1 Cruzer Blade of Workshop: attached, as 9-1",
            "Present daemon p2pusbd 0.1.0: running, Scanner\u{fffd}[2J of Workshop has ended: the peer could not be reached for too long",
        ] {
            assert!(told.iter().any(|other| other == line), "{line}: {told:#?}");
        }
        assert_eq!(told.len(), 13);
    }

    #[test]
    fn what_happens_is_told_once_and_nothing_else_is() {
        let before = example();
        assert_eq!(told(&between(&before, &before, 0)), [""; 0]);
        let mut after = before.clone();
        after.attachments[0].state = "reconnecting".to_owned();
        after.attachments[0].reconnect_deadline = 40_000_000;
        after.remote_devices.remove(2);
        after.shares[0].id = "0000beef".to_owned();
        after.shares[0].path = "/org/p2pusb1/shares/0000beef".to_owned();
        let changes = between(&before, &after, 0);
        assert_eq!(
            told(&changes),
            [
                "Gone remote-device Webcam C270 of Workshop: available",
                "Gone share Dongle (00000bad): not plugged in, for every paired peer",
                "Changed attachment 1 Cruzer Blade of Workshop: reconnecting, 40 s left",
                "Appeared share Dongle (0000beef): not plugged in, for every paired peer",
            ]
        );
        assert_eq!(changes[2].changed, ["reconnect_deadline_usec", "state"]);
        assert_eq!(changes[2].is["state"], "reconnecting");
    }

    #[test]
    fn a_new_label_is_told_with_the_old_one_and_what_people_do_not_see_to_programs_only() {
        let before = example();
        let mut after = before.clone();
        after.peers[0].label = "notebook".to_owned();
        after.peers[1].last_seen += 1;
        let changes = between(&before, &after, 0);
        let peers: Vec<_> = changes.iter().filter(|change| change.kind == "peer").collect();
        assert_eq!((peers.len(), &peers[1].words[..]), (2, &["was laptop".to_owned()][..]));
        assert_eq!((&peers[0].words[..], &peers[0].changed[..]), (&[][..], &["last_seen_usec".to_owned()][..]));
    }
}
