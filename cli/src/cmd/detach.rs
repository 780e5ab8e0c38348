//! `p2pusb detach`: give attached devices back.

use p2pusb_dbus::{ErrorName, Options, names::interface};
use serde::Serialize;

use crate::{
    args::Detach,
    bus::Bus,
    exit::Failure,
    json,
    report::Report,
    select,
    snapshot::{Attachment, Snapshot},
};

#[derive(Serialize)]
struct Json {
    detached: Vec<json::Attachment>,
}

pub(super) async fn run(bus: &mut Bus, args: &Detach) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let chosen: Vec<_> = match &args.device {
        Some(typed) => vec![select::attachment(&all, typed)?],
        None => all.attachments.iter().collect(),
    };
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for attachment in chosen {
        match detach(bus, &all, attachment).await {
            Ok(()) => done.push(attachment),
            Err(failure) if !args.all => return Err(failure),
            // What has ended by itself meanwhile is as good as detached.
            Err(Failure::Call(error)) if gone(error.name) => {}
            Err(failure) => failures.push(failure),
        }
    }
    let failure = match failures.len() {
        0 | 1 => failures.pop(),
        _ => Some(Failure::Several(failures)),
    };
    Ok(Report { failure, ..report(&all, &done, args.all && all.attachments.is_empty()) })
}

async fn detach(bus: &mut Bus, all: &Snapshot, attachment: &Attachment) -> Result<(), Failure> {
    let what = format!("Detaching {}", name(all, attachment));
    bus.call(&what, &attachment.path, interface::ATTACHMENT, "Detach", &(Options::new(),)).await
}

fn gone(name: ErrorName) -> bool {
    matches!(name, ErrorName::NotAttached | ErrorName::UnknownObject)
}

fn name(all: &Snapshot, attachment: &Attachment) -> String {
    let product = all.remote_device(&attachment.remote_device).map(|device| device.name());
    format!("{} of {}", product.unwrap_or_else(|| attachment.product.clone()), all.peer_name(&attachment.peer))
}

fn report(all: &Snapshot, done: &[&Attachment], nothing: bool) -> Report {
    let mut text: String = done.iter().map(|attachment| format!("Detached {}\n", name(all, attachment))).collect();
    if nothing {
        text.push_str("Nothing is attached.\n");
    }
    let detached = done.iter().map(|attachment| json::Attachment::new(all, attachment)).collect();
    Report::new(text, &Json { detached })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn what_was_detached_is_told() {
        let all = example();
        let done: Vec<_> = all.attachments.iter().collect();
        assert_eq!(report(&all, &done, false).text, "Detached Cruzer Blade of Workshop\n");
        assert_eq!(report(&all, &[], true).text, "Nothing is attached.\n");
        assert_eq!(report(&all, &[], true).json, "{\n  \"detached\": []\n}\n");
    }
}
