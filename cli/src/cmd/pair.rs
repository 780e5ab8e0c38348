//! `p2pusb pair`: pair with the machine that made a ticket.

use std::io::Read;

use p2pusb_dbus::{
    Options,
    names::{ROOT_PATH, interface},
};
use serde::Serialize;
use zbus::OwnedObjectPath;

use crate::{bus::Bus, exit::Failure, json, report::Report, snapshot::Snapshot};

/// More than the longest ticket; what comes on standard input may be anything.
const TICKET_MAX: u64 = 16 * 1024;

#[derive(Serialize)]
struct Json {
    peer: Option<json::Peer>,
}

/// The ticket that was given, from `stdin` where it is `-`.
pub(super) fn ticket(typed: &str, stdin: impl Read) -> Result<String, Failure> {
    if typed != "-" {
        return Ok(typed.trim().to_owned());
    }
    let mut text = String::new();
    stdin.take(TICKET_MAX).read_to_string(&mut text).map_err(Failure::Input)?;
    let ticket = text.trim();
    if ticket.is_empty() { Err(Failure::NoTicket) } else { Ok(ticket.to_owned()) }
}

pub(super) async fn run(bus: &mut Bus, ticket: &str) -> Result<Report, Failure> {
    let arguments = (ticket, Options::new());
    let peer: OwnedObjectPath = bus.call("Pairing", ROOT_PATH, interface::MANAGER, "AddPeer", &arguments).await?;
    Ok(report(&bus.snapshot().await?, &peer))
}

/// This one is a peer from now on.
pub(super) fn report(all: &Snapshot, peer: &str) -> Report {
    let text = format!("Paired with {}. See what it offers: p2pusb list\n", all.peer_name(peer));
    Report::new(text, &Json { peer: all.peer(peer).map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_reads_standard_input_and_nothing_else_does() {
        assert_eq!(ticket("-", &b"  abc\n\n"[..]).unwrap(), "abc");
        assert_eq!(ticket(" abc ", &b"def"[..]).unwrap(), "abc");
        assert!(matches!(ticket("-", &b" \n"[..]), Err(Failure::NoTicket)));
        assert!(matches!(ticket("-", &b"\xff\xfe"[..]), Err(Failure::Input(_))));
    }

    #[test]
    fn endless_input_is_not_read_to_its_end() {
        let endless = std::io::repeat(b'a');
        assert_eq!(ticket("-", endless).unwrap().len() as u64, TICKET_MAX);
    }
}
