//! `p2pusb monitor`: every object that appears, changes or goes, a line each, until it is stopped.

mod changes;

use self::changes::{Change, Event};
use crate::{
    bus::Bus,
    clock,
    exit::Failure,
    format::{Colours, Tone, now_usec},
    report::{self, Report},
    snapshot::Snapshot,
    watch::{Step, Watch},
};

pub(super) async fn run(bus: &Bus, json: bool) -> Result<Report, Failure> {
    let mut watch = Watch::start(bus.connection()).await?;
    let out = Out { json, colours: Colours::of_stdout() };
    let mut step = watch.look().await?;
    let mut known = Snapshot::default();
    loop {
        let now = watch.snapshot();
        match step {
            Step::Changed => out.all(&changes::between(&known, &now, now_usec()))?,
            Step::Started => {
                out.all(&[changes::daemon_is(Event::Started, now_usec())])?;
                out.all(&changes::present(&now, now_usec()))?;
            }
            Step::Stopped => out.all(&[changes::daemon_is(Event::Stopped, now_usec())])?,
        }
        known = now;
        step = watch.next().await?;
    }
}

/// Where the lines go.
struct Out {
    json: bool,
    colours: Colours,
}

impl Out {
    fn all(&self, changes: &[Change]) -> Result<(), Failure> {
        for change in changes {
            let line = if self.json { Some(report::line(change)) } else { line(change, self.colours) };
            if let Some(line) = line {
                report::stream(&line)?;
            }
        }
        Ok(())
    }
}

/// A line for people: when, what, and how it is now. Of what was there at the start they know from `p2pusb status`.
fn line(change: &Change, colours: Colours) -> Option<String> {
    let Change { kind, name, words, .. } = change;
    let words = words.join(", ");
    let what = match kind {
        &"daemon" => name.clone(),
        kind => format!("{} {name}", kind.replace('-', " ")),
    };
    let (tone, text) = match change.event {
        Event::Present => return None,
        Event::Changed if words.is_empty() => return None,
        Event::Changed => (Tone::Plain, format!("{what}: {words}")),
        Event::Appeared => (Tone::Good, format!("new {what}: {words}")),
        Event::Gone => (Tone::Bad, format!("gone {what}")),
        Event::Started => (Tone::Good, format!("{what} is running")),
        Event::Stopped => (Tone::Bad, format!("{what} is not running")),
    };
    Some(format!("{}  {}\n", clock::time_of_day(change.time_usec), colours.paint(tone, &text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn every_field_is_documented() {
        let page = include_str!("../../../../packaging/man/p2pusb.1");
        for change in changes::present(&example(), 1) {
            let json = serde_json::to_value(change).unwrap();
            for field in json.as_object().unwrap().keys() {
                assert!(
                    page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == field),
                    "{field}"
                );
            }
        }
    }

    #[test]
    fn people_get_a_line_for_what_they_would_see() {
        let before = example();
        let mut after = before.clone();
        after.attachments[0].state = "detaching".to_owned();
        after.peers[1].last_seen += 1;
        after.shares.remove(0);
        let mut lines: Vec<_> =
            changes::between(&before, &after, 0).iter().filter_map(|c| line(c, Colours::none())).collect();
        lines.push(line(&changes::daemon_is(Event::Stopped, 0), Colours::none()).unwrap());
        let time = clock::time_of_day(0);
        assert_eq!(
            lines,
            [
                format!("{time}  gone share Dongle (00000bad)\n"),
                format!("{time}  attachment 1 Cruzer Blade of Workshop: detaching\n"),
                format!("{time}  p2pusbd is not running\n"),
            ]
        );
        assert_eq!(changes::present(&before, 0).iter().filter_map(|c| line(c, Colours::none())).count(), 0);
    }
}
