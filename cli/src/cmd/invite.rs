//! `p2pusb invite`: make a ticket.

use std::time::Duration;

use p2pusb_dbus::{
    Options,
    names::{ROOT_PATH, interface, option},
};
use serde::Serialize;

use crate::{args::Invite, bus::Bus, duration, exit::Failure, format::now_usec, report::Report};

#[derive(Serialize)]
struct Json {
    ticket: String,
    expires_usec: u64,
}

pub(super) async fn run(bus: &mut Bus, args: &Invite) -> Result<Report, Failure> {
    let lifetime = u64::try_from(args.expires.as_micros()).unwrap_or(u64::MAX);
    let options = Options::from([(option::EXPIRES_USEC, lifetime.into())]);
    // From here on, so that the ticket is good for at least as long as is said.
    let expires_usec = now_usec().saturating_add(lifetime);
    let ticket = bus.call("Making a ticket", ROOT_PATH, interface::MANAGER, "CreateTicket", &(options,)).await?;
    Ok(report(ticket, args.expires, expires_usec))
}

fn report(ticket: String, lifetime: Duration, expires_usec: u64) -> Report {
    let text = format!("{ticket}\n");
    let note = format!(
        "On the other machine, within {}: p2pusb pair TICKET\n\
         Whoever has the ticket can pair one machine with this one.\n",
        duration::words(lifetime)
    );
    Report { note, ..Report::new(text, &Json { ticket, expires_usec }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticket_is_alone_on_standard_output() {
        let report = report("p2pusbabc".to_owned(), Duration::from_secs(600), 7);
        assert_eq!(report.text, "p2pusbabc\n");
        assert!(report.note.contains("within 10 min: p2pusb pair"));
        assert!(!report.note.contains("p2pusbabc"), "what goes to a log need not hold the secret");
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(json, serde_json::json!({"ticket": "p2pusbabc", "expires_usec": 7}));
    }
}
