//! `p2pusb invite`: make a ticket.

use std::time::Duration;

use p2pusb_dbus::{
    Options,
    names::{ROOT_PATH, interface, option},
};
use serde::Serialize;

use zbus::ObjectPath;

use crate::{
    args::Invite,
    bus::Bus,
    duration,
    exit::Failure,
    format::now_usec,
    json,
    report::Report,
    select,
    snapshot::{Share, Snapshot},
};

#[derive(Serialize)]
struct Json {
    ticket: String,
    expires_usec: u64,
    share: Option<json::Share>,
    access_usec: Option<u64>,
}

fn usec(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(super) async fn run(bus: &mut Bus, args: &Invite) -> Result<Report, Failure> {
    let mut options = Options::from([(option::EXPIRES_USEC, usec(args.expires).into())]);
    let all = match &args.device {
        Some(_) => bus.snapshot().await?,
        None => Snapshot::default(),
    };
    let share = args.device.as_ref().map(|typed| select::share(&all, typed)).transpose()?;
    if let Some(share) = share {
        options.insert(option::SHARE, ObjectPath::from_str_unchecked(&share.path).into());
    }
    let access_usec = args.access.map(usec);
    if let Some(access) = access_usec {
        options.insert(option::ACCESS_USEC, access.into());
    }
    // From here on, so that the ticket is good for at least as long as is said.
    let expires_usec = now_usec().saturating_add(usec(args.expires));
    let ticket = bus.call("Making a ticket", ROOT_PATH, interface::MANAGER, "CreateTicket", &(options,)).await?;
    let note = note(args, share);
    let share = share.map(|share| json::Share::new(&all, share));
    Ok(report(note, Json { ticket, expires_usec, share, access_usec }))
}

/// What to do with the ticket, and what it is good for.
fn note(args: &Invite, share: Option<&Share>) -> String {
    let what = share.map(|share| format!(", for {} only", share.product)).unwrap_or_default();
    let time = args.access.map(|access| format!(", for {}", duration::words(access))).unwrap_or_default();
    format!(
        "On the other machine, within {}: p2pusb pair TICKET\n\
         Whoever has the ticket can pair one machine with this one{what}{time}.\n",
        duration::words(args.expires)
    )
}

fn report(note: String, json: Json) -> Report {
    Report { note, ..Report::new(format!("{}\n", json.ticket), &json) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn the_ticket_is_alone_on_standard_output() {
        let all = example();
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        let args = Invite { expires: Duration::from_secs(600), device: None, access: Some(hours(8)) };
        let json = Json { ticket: "p2pusbabc".to_owned(), expires_usec: 7, share: None, access_usec: Some(9) };
        let report = report(note(&args, Some(&all.shares[0])), json);
        assert_eq!(report.text, "p2pusbabc\n");
        assert!(report.note.contains("within 10 min: p2pusb pair"));
        assert!(report.note.contains("with this one, for Dongle only, for 8 h."), "{}", report.note);
        assert!(!report.note.contains("p2pusbabc"), "what goes to a log need not hold the secret");
        let json: serde_json::Value = serde_json::from_str(&report.json).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"ticket": "p2pusbabc", "expires_usec": 7, "share": null, "access_usec": 9})
        );
    }
}
