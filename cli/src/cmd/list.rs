//! `p2pusb list`: what is plugged in here, and what peers offer.

use p2pusb_dbus::values::PeerState;
use serde::Serialize;

use super::{count, device_state};
use crate::{
    args::List,
    bus::Bus,
    exit::Failure,
    format::{Cell, Colours, Table, Tone},
    json,
    report::Report,
    snapshot::{RemoteDevice, Snapshot},
};

#[derive(Serialize)]
struct Json {
    devices: Vec<json::Device>,
    remote_devices: Vec<json::RemoteDevice>,
}

pub(super) async fn run(bus: &Bus, args: &List) -> Result<Report, Failure> {
    Ok(report(&bus.snapshot().await?, args.all, Colours::of_stdout()))
}

pub(super) fn report(all: &Snapshot, with_excluded: bool, colours: Colours) -> Report {
    let devices: Vec<_> = all.devices.iter().filter(|d| with_excluded || d.excluded.is_empty()).collect();
    let json = Json {
        devices: devices.iter().map(|&device| device.into()).collect(),
        remote_devices: all.remote_devices.iter().map(|device| json::RemoteDevice::new(all, device)).collect(),
    };

    let mut text = if devices.is_empty() {
        "No device that can be shared is plugged in here.\n".to_owned()
    } else {
        let mut table = Table::with_headings(&["BUS PATH", "USB ID", "PRODUCT", "STATE"]);
        for device in devices {
            table.row([
                device.bus_path.as_str().into(),
                device.usb_id.to_string().into(),
                device.name().into(),
                device_state(all, device),
            ]);
        }
        table.render(colours, "")
    };
    text.push('\n');
    if all.remote_devices.is_empty() {
        text.push_str(&nothing_remote(all));
    } else {
        let mut table = Table::with_headings(&["PEER", "ID", "USB ID", "PRODUCT", "STATE"]);
        for device in &all.remote_devices {
            table.row([
                all.peer_name(&device.peer).into(),
                device.remote_id.as_str().into(),
                device.usb_id.to_string().into(),
                device.name().into(),
                remote_state(all, device),
            ]);
        }
        text.push_str(&table.render(colours, ""));
    }
    let note = if all.manager.probing { "Devices are still being found out about.\n" } else { "" };
    Report { note: note.to_owned(), ..Report::new(text, &json) }
}

fn remote_state(all: &Snapshot, device: &RemoteDevice) -> Cell {
    match device.attachment.as_ref().map(|path| all.attachment(path)) {
        Some(Some(attachment)) if !attachment.local_bus_path.is_empty() => {
            Cell::new(format!("attached here, {}", attachment.local_bus_path), Tone::Busy)
        }
        Some(_) => Cell::new("attached here", Tone::Busy),
        None if device.available => Cell::new("available", Tone::Good),
        None => Cell::new("in use", Tone::Dim),
    }
}

/// Why there is nothing to attach.
fn nothing_remote(all: &Snapshot) -> String {
    let online = all.peers.iter().filter(|p| PeerState::from_value(&p.state) == PeerState::Online).count();
    match (all.peers.len(), online) {
        (0, _) => "No machine is paired with this one: see p2pusb invite and p2pusb pair.\n".to_owned(),
        (peers, 0) => format!("No remote devices: {} paired, none online.\n", count(peers, "machine")),
        (_, online) => {
            format!("No remote devices: {} online, which offer nothing to this machine.\n", count(online, "peer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn both_sides_are_listed() {
        assert_eq!(
            report(&example(), false, Colours::none()).text,
            "\
BUS PATH  USB ID     PRODUCT               STATE
1-2       0403:6001  FTDI FT232R USB UART  available
1-10      0403:6001  FTDI FT232R USB UART  available

PEER      ID        USB ID     PRODUCT       STATE
Workshop  0000000a  0781:5567  Cruzer Blade  attached here, 9-1
Workshop  0000000b  046d:0825  Webcam C270   available
Workshop  0000000c  046d:0825  Webcam C270   available
"
        );
    }

    #[test]
    fn what_is_never_shared_is_listed_with_all() {
        let text = report(&example(), true, Colours::none()).text;
        assert!(text.contains("usb1      1d6b:0002  Linux USB root hub    root hub\n"), "{text}");
        assert!(text.contains("9-1       0781:5567  SanDisk Cruzer Blade  attached from Workshop\n"), "{text}");
    }

    #[test]
    fn in_use_says_by_whom() {
        let mut all = example();
        all.devices[1].state = "in-use".to_owned();
        all.devices[2].state = "of-the-future".to_owned();
        let text = report(&all, false, Colours::none()).text;
        assert!(text.contains("FT232R USB UART  in use by Workshop\n"), "{text}");
        assert!(text.contains("FT232R USB UART  unknown\n"), "{text}");
    }

    #[test]
    fn nothing_says_why() {
        let mut all = example();
        all.remote_devices.clear();
        assert!(report(&all, false, Colours::none()).text.contains("1 peer online, which offer nothing"));
        all.peers.remove(1);
        assert!(report(&all, false, Colours::none()).text.contains("1 machine paired, none online"));
        let text = report(&Snapshot::default(), false, Colours::none()).text;
        assert!(text.contains("No device") && text.contains("p2pusb invite"), "{text}");
    }

    #[test]
    fn the_note_about_probing_is_no_part_of_the_list() {
        let mut all = example();
        assert_eq!(report(&all, false, Colours::none()).note, "");
        all.manager.probing = true;
        assert_ne!(report(&all, false, Colours::none()).note, "");
    }

    #[test]
    fn json_has_the_documented_shape() {
        let report = report(&example(), false, Colours::none());
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(
            json["devices"][0],
            serde_json::json!({
                "object": "/org/p2pusb1/devices/1_2",
                "bus_path": "1-2",
                "usb_id": "0403:6001",
                "manufacturer": "FTDI",
                "product": "FT232R USB UART",
                "class": 0,
                "interfaces": ["ff:ff:ff"],
                "speed": "full",
                "state": "available",
                "excluded": null,
                "share": "00c0ffee",
                "stable_id": "0403:6001@1-2",
            })
        );
        let remote = &json["remote_devices"][0];
        assert_eq!(remote["id"], "0000000a");
        assert_eq!(remote["peer"]["label"], "Workshop");
        assert_eq!(remote["available"], false);
        assert_eq!(remote["attachment"], 1);
        assert_eq!(json["remote_devices"][1]["attachment"], serde_json::Value::Null);
    }
}
