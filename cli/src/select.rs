//! Finding what people mean by what they type. Pure functions over the lists of a [`Snapshot`].

use p2pusb_dbus::{DiscoveredEntry, path::remote_device_ids};

use crate::{
    format::{Cell, Colours, Table},
    snapshot::{Attachment, Device, Peer, RemoteDevice, Share, Snapshot},
};

/// An endpoint id in hexadecimal.
const ENDPOINT_ID_DIGITS: usize = 64;

/// What people typed stands for nothing, or for more than one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    /// Nothing by that name.
    #[error("there is no {what} “{typed}”; {}", list(what_there_is(.what), .there))]
    Nothing {
        /// Singular, such as "local device".
        what: &'static str,
        /// What was typed.
        typed: String,
        /// What there is, a line each.
        there: Vec<String>,
    },
    /// More than one thing by that name.
    #[error("“{typed}” is more than one {what}; {}", list("say which one:".to_owned(), .matches))]
    Ambiguous {
        /// Singular, such as "local device".
        what: &'static str,
        /// What was typed.
        typed: String,
        /// What it could be, a line each.
        matches: Vec<String>,
    },
}

fn what_there_is(what: &str) -> String {
    format!("the {what}s are:")
}

fn list(heading: String, lines: &[String]) -> String {
    if lines.is_empty() {
        return "there is none".to_owned();
    }
    std::iter::once(&heading).chain(lines).map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// One thing that can be meant.
struct Candidate {
    /// Where it is plugged in here.
    bus_path: String,
    /// Vendor and product, `0403:6001`.
    usb_id: String,
    /// Its ids: of a share, an attachment, a device.
    ids: Vec<String>,
    /// The product's name as people see it.
    product: String,
    /// False for what a vendor, product or name never means while there is something better.
    likely: bool,
    /// The columns that tell it from others.
    columns: Vec<String>,
}

/// Vendor and product as they are written elsewhere, from what people type: `403:6001`, `0403:6001`.
fn usb_id(typed: &str) -> Option<String> {
    let (vendor, product) = typed.split_once(':')?;
    let number = |text: &str| {
        let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u16::from_str_radix(text, 16).ok()).flatten()
    };
    Some(format!("{:04x}:{:04x}", number(vendor)?, number(product)?))
}

/// The lines that describe these candidates.
fn describe<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Vec<String> {
    let mut table = Table::new();
    for candidate in candidates {
        table.row(candidate.columns.iter().map(|column| Cell::from(column.as_str())));
    }
    table.render(Colours::none(), "  ").lines().map(str::to_owned).collect()
}

/// The one candidate that is meant: by bus path, else by vendor and product, else by an id, else by a part of
/// the product's name.
fn choose(what: &'static str, candidates: &[Candidate], typed: &str) -> Result<usize, SelectError> {
    let usb_id = usb_id(typed);
    let lower = typed.to_lowercase();
    let rules: [&dyn Fn(&Candidate) -> bool; 4] =
        [&|c| c.bus_path == typed, &|c| usb_id.as_ref() == Some(&c.usb_id), &|c| c.ids.contains(&lower), &|c| {
            c.product.to_lowercase().contains(&lower)
        }];
    // Every product's name contains an empty text, which nobody means.
    let rules = if typed.is_empty() { &rules[..0] } else { &rules[..] };
    for rule in rules {
        let all: Vec<_> = (0..candidates.len()).filter(|&i| rule(&candidates[i])).collect();
        let likely: Vec<_> = all.iter().copied().filter(|&i| candidates[i].likely).collect();
        match if likely.is_empty() { all } else { likely }.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => {
                return Err(SelectError::Ambiguous {
                    what,
                    typed: typed.to_owned(),
                    matches: describe(several.iter().map(|&i| &candidates[i])),
                });
            }
        }
    }
    Err(SelectError::Nothing {
        what,
        typed: typed.to_owned(),
        there: describe(candidates.iter().filter(|candidate| candidate.likely)),
    })
}

/// A local device, to share it. Hubs and the like are found by their bus path, so that the daemon can say why
/// they are not shared; by anything else only where nothing better fits.
pub(crate) fn device<'a>(all: &'a Snapshot, typed: &str) -> Result<&'a Device, SelectError> {
    let candidates: Vec<_> = all
        .devices
        .iter()
        .map(|device| Candidate {
            bus_path: device.bus_path.clone(),
            usb_id: device.usb_id.to_string(),
            ids: vec![device.stable_id.to_lowercase()],
            product: device.name(),
            likely: device.excluded.is_empty(),
            columns: vec![device.bus_path.clone(), device.usb_id.to_string(), device.name()],
        })
        .collect();
    choose("local device", &candidates, typed).map(|index| &all.devices[index])
}

/// A share, by its own names or those of its device.
pub(crate) fn share<'a>(all: &'a Snapshot, typed: &str) -> Result<&'a Share, SelectError> {
    let candidates: Vec<_> = all
        .shares
        .iter()
        .map(|share| {
            let device = share.device.as_ref().and_then(|path| all.device(path));
            let bus_path = device.map(|device| device.bus_path.clone()).unwrap_or_default();
            let product = device.map_or_else(|| share.product.clone(), Device::name);
            Candidate {
                usb_id: device.map(|device| device.usb_id.to_string()).unwrap_or_default(),
                ids: vec![share.id.clone(), share.stable_id.to_lowercase()],
                likely: true,
                columns: vec![
                    share.id.clone(),
                    if bus_path.is_empty() { "not plugged in".to_owned() } else { bus_path.clone() },
                    product.clone(),
                ],
                bus_path,
                product,
            }
        })
        .collect();
    choose("shared device", &candidates, typed).map(|index| &all.shares[index])
}

/// A remote device; among those of one peer where one is given (as its object path).
pub(crate) fn remote_device<'a>(
    all: &'a Snapshot,
    typed: &str,
    peer: Option<&Peer>,
) -> Result<&'a RemoteDevice, SelectError> {
    let devices: Vec<_> =
        all.remote_devices.iter().filter(|device| peer.is_none_or(|peer| peer.path == device.peer)).collect();
    let candidates: Vec<_> = devices
        .iter()
        .map(|device| Candidate {
            bus_path: String::new(),
            usb_id: device.usb_id.to_string(),
            ids: vec![device.remote_id.clone()],
            product: device.name(),
            likely: true,
            columns: vec![
                device.remote_id.clone(),
                device.usb_id.to_string(),
                all.peer_name(&device.peer),
                device.name(),
            ],
        })
        .collect();
    choose("remote device", &candidates, typed).map(|index| devices[index])
}

/// An attachment, by its own names or those of its remote device.
pub(crate) fn attachment<'a>(all: &'a Snapshot, typed: &str) -> Result<&'a Attachment, SelectError> {
    let candidates: Vec<_> = all
        .attachments
        .iter()
        .map(|attachment| {
            let remote = all.remote_device(&attachment.remote_device);
            let local = attachment.local_device.as_ref().and_then(|path| all.device(path));
            let usb_id = remote.map(|device| device.usb_id).or(local.map(|device| device.usb_id));
            let product = remote.map_or_else(|| attachment.product.clone(), RemoteDevice::name);
            let mut ids = vec![attachment.number.to_string()];
            // Also of one that waits for a peer that is not there: its path tells.
            ids.extend(remote_device_ids(&attachment.remote_device).map(|(_, id)| id.to_owned()));
            Candidate {
                bus_path: attachment.local_bus_path.clone(),
                usb_id: usb_id.map(|id| id.to_string()).unwrap_or_default(),
                ids,
                likely: true,
                columns: vec![
                    attachment.number.to_string(),
                    attachment.local_bus_path.clone(),
                    all.peer_name(&attachment.peer),
                    product.clone(),
                ],
                product,
            }
        })
        .collect();
    choose("attached device", &candidates, typed).map(|index| &all.attachments[index])
}

/// A peer: by its label, else by the beginning of its endpoint id.
pub(crate) fn peer<'a>(all: &'a Snapshot, typed: &str) -> Result<&'a Peer, SelectError> {
    let lower = typed.to_lowercase();
    let rules: [&dyn Fn(&Peer) -> bool; 2] =
        [&|p| p.label.to_lowercase() == lower, &|p| p.endpoint_id.starts_with(&lower)];
    let lines = |peers: &[&Peer]| {
        let mut table = Table::new();
        for peer in peers {
            table.row([Cell::from(peer.label.as_str()), Cell::from(peer.short_id())]);
        }
        table.render(Colours::none(), "  ").lines().map(str::to_owned).collect()
    };
    let rules = if typed.is_empty() { &rules[..0] } else { &rules[..] };
    for rule in rules {
        let matches: Vec<_> = all.peers.iter().filter(|peer| rule(peer)).collect();
        match matches.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                return Err(SelectError::Ambiguous { what: "peer", typed: typed.to_owned(), matches: lines(several) });
            }
        }
    }
    Err(SelectError::Nothing {
        what: "peer",
        typed: typed.to_owned(),
        there: lines(&all.peers.iter().collect::<Vec<_>>()),
    })
}

/// A machine to pair with, by its endpoint id: what that is itself, else what a machine on the local network calls
/// itself, else a peer's label. Answers the endpoint id.
pub(crate) fn machine(all: &Snapshot, typed: &str) -> Result<String, SelectError> {
    let lower = typed.to_lowercase();
    if lower.len() == ENDPOINT_ID_DIGITS && lower.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(lower);
    }
    let machines = &all.manager.discovered;
    let lines = |machines: &[&DiscoveredEntry]| {
        let mut table = Table::new();
        for (id, label) in machines {
            table.row([Cell::from(label.as_str()), Cell::from(id.as_str())]);
        }
        table.render(Colours::none(), "  ").lines().map(str::to_owned).collect()
    };
    let named: Vec<_> =
        machines.iter().filter(|(_, label)| !lower.is_empty() && label.to_lowercase() == lower).collect();
    match named.as_slice() {
        [(id, _)] => Ok(id.clone()),
        [] => match peer(all, typed) {
            Ok(peer) => Ok(peer.endpoint_id.clone()),
            Err(_) => {
                let there = lines(&machines.iter().collect::<Vec<_>>());
                Err(SelectError::Nothing { what: "machine", typed: typed.to_owned(), there })
            }
        },
        several => Err(SelectError::Ambiguous { what: "machine", typed: typed.to_owned(), matches: lines(several) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    fn bus_path(typed: &str) -> Result<String, SelectError> {
        device(&example(), typed).map(|device| device.bus_path.clone())
    }

    #[test]
    fn a_bus_path_is_exact() {
        assert_eq!(bus_path("1-2").unwrap(), "1-2");
        assert_eq!(bus_path("1-10").unwrap(), "1-10");
        assert_eq!(bus_path("usb1").unwrap(), "usb1", "also of what is never shared");
        assert!(matches!(bus_path("1-1"), Err(SelectError::Nothing { .. })));
    }

    #[test]
    fn two_devices_of_a_kind_are_both_named() {
        for typed in ["0403:6001", "403:6001", "uart", "FTDI ft232r"] {
            let Err(error @ SelectError::Ambiguous { .. }) = bus_path(typed) else { panic!("{typed}") };
            assert_eq!(
                error.to_string(),
                format!(
                    "“{typed}” is more than one local device; say which one:\n  \
                     1-2   0403:6001  FTDI FT232R USB UART\n  \
                     1-10  0403:6001  FTDI FT232R USB UART"
                )
            );
        }
    }

    #[test]
    fn what_is_never_shared_is_found_by_name_only_where_nothing_else_fits() {
        // "usb" is in the names of two serial adapters and of the root hub.
        let Err(SelectError::Ambiguous { matches, .. }) = bus_path("usb") else { panic!() };
        assert_eq!(matches.len(), 2);
        assert_eq!(bus_path("root hub").unwrap(), "usb1");
        assert_eq!(bus_path("1d6b:2").unwrap(), "usb1");
        assert_eq!(bus_path("cruzer").unwrap(), "9-1");
    }

    #[test]
    fn a_stable_id_is_an_id() {
        assert_eq!(bus_path("0403:6001@1-2").unwrap(), "1-2");
    }

    #[test]
    fn nothing_lists_what_there_is() {
        for typed in ["", "scanner", "0000:0000", "1-3"] {
            let error = bus_path(typed).unwrap_err();
            let SelectError::Nothing { there, .. } = &error else { panic!("{typed}") };
            assert_eq!(there.len(), 2, "those that can be shared");
            assert!(
                error.to_string().starts_with(&format!("there is no local device “{typed}”; the local devices are:"))
            );
        }
        let error = device(&Snapshot::default(), "1-2").unwrap_err();
        assert_eq!(error.to_string(), "there is no local device “1-2”; there is none");
    }

    #[test]
    fn shares_are_found_by_their_device_or_their_id() {
        let all = example();
        for typed in ["1-2", "0403:6001", "00c0ffee", "00C0FFEE", "uart"] {
            assert_eq!(share(&all, typed).unwrap().id, "00c0ffee", "{typed}");
        }
        for typed in ["00000bad", "dongle", "0529:0001:0123456789abcdef"] {
            assert_eq!(share(&all, typed).unwrap().id, "00000bad", "{typed}");
        }
        let error = share(&all, "1-10").unwrap_err().to_string();
        assert!(error.contains("not plugged in"), "{error}");
    }

    #[test]
    fn remote_devices_are_found_by_ids_and_name_and_a_peer_narrows_it() {
        let all = example();
        assert_eq!(remote_device(&all, "cruzer", None).unwrap().remote_id, "0000000a");
        assert_eq!(remote_device(&all, "0000000c", None).unwrap().remote_id, "0000000c");
        let Err(SelectError::Ambiguous { matches, .. }) = remote_device(&all, "046d:0825", None) else { panic!() };
        assert_eq!(matches[0], "  0000000b  046d:0825  Workshop  Webcam C270");
        let laptop = peer(&all, "laptop").unwrap();
        let Err(SelectError::Nothing { there, .. }) = remote_device(&all, "cruzer", Some(laptop)) else { panic!() };
        assert_eq!(there, [] as [String; 0]);
    }

    #[test]
    fn attachments_are_found_by_where_they_are_and_by_what_they_are() {
        let all = example();
        for typed in ["9-1", "0781:5567", "1", "0000000a", "blade"] {
            assert_eq!(attachment(&all, typed).unwrap().number, 1, "{typed}");
        }
        assert!(attachment(&all, "1-2").is_err());
        assert!(attachment(&all, "2").is_err());
    }

    #[test]
    fn what_waits_is_found_although_its_peer_is_not_there() {
        let mut all = example();
        all.remote_devices.clear();
        all.attachments[0].local_bus_path.clear();
        all.attachments[0].local_device = None;
        for typed in ["1", "0000000a", "blade"] {
            assert_eq!(attachment(&all, typed).unwrap().number, 1, "{typed}");
        }
    }

    #[test]
    fn peers_are_found_by_label_or_the_beginning_of_their_id() {
        let all = example();
        for typed in ["workshop", "Workshop", "8f0c", "8F0C6a"] {
            assert_eq!(peer(&all, typed).unwrap().label, "Workshop", "{typed}");
        }
        let Err(SelectError::Ambiguous { matches, .. }) = peer(&all, "8f") else { panic!() };
        assert_eq!(matches, ["  laptop    8f99000000", "  Workshop  8f0c6a1d2b"]);
        for typed in ["", "work", "0c6a"] {
            assert!(matches!(peer(&all, typed), Err(SelectError::Nothing { .. })), "{typed}");
        }
    }
}
