//! `p2pusb status --watch`: the same again and again, with what goes through each attachment now.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, stdout},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::time::sleep;

use super::{Json, json, report};
use crate::{
    bus::Bus,
    exit::Failure,
    format::{Colours, now_usec},
    report::{self as output, Report},
    snapshot::{Attachment, Snapshot},
};

/// How often it is looked at: counters change without a word.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes per second, in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// What was counted at the last look.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// In and out, by the attachment's object.
    counted: HashMap<String, (u64, u64)>,
    rates: HashMap<String, Rate>,
}

#[derive(Serialize)]
struct Line {
    time_usec: u64,
    #[serde(flatten)]
    status: Json,
    rates: Vec<JsonRate>,
}

/// Documented in p2pusb-status(1).
#[derive(Serialize)]
struct JsonRate {
    number: u32,
    bytes_in_per_second: u64,
    bytes_out_per_second: u64,
    path: String,
    rtt_usec: u64,
}

impl Rates {
    /// Takes another look, so long after the one before.
    fn count(&mut self, all: &Snapshot, passed: Duration) {
        self.rates.clear();
        let mut counted = HashMap::new();
        for attachment in &all.attachments {
            let now = (attachment.bytes_in, attachment.bytes_out);
            if let Some(before) = self.counted.get(&attachment.path) {
                let rate = Rate {
                    bytes_in: per_second(before.0, now.0, passed),
                    bytes_out: per_second(before.1, now.1, passed),
                };
                self.rates.insert(attachment.path.clone(), rate);
            }
            counted.insert(attachment.path.clone(), now);
        }
        self.counted = counted;
    }

    /// Of an attachment that has been looked at twice; of another one, nothing.
    pub(super) fn of(&self, attachment: &Attachment) -> Rate {
        self.rates.get(&attachment.path).copied().unwrap_or_default()
    }
}

/// A daemon that was started anew begins to count anew.
fn per_second(before: u64, now: u64, passed: Duration) -> u64 {
    let seconds = passed.as_secs_f64();
    if seconds > 0.0 { (now.saturating_sub(before) as f64 / seconds).round() as u64 } else { 0 }
}

pub(super) async fn run(bus: &Bus, as_json: bool) -> Result<Report, Failure> {
    let colours = Colours::of_stdout();
    let mut rates = Rates::default();
    let mut looked = Instant::now();
    // The first look may start the daemon; a daemon that is stopped while it is watched stays stopped.
    let mut all = bus.snapshot().await?;
    loop {
        let passed = std::mem::replace(&mut looked, Instant::now()).elapsed();
        rates.count(&all, passed);
        let text =
            if as_json { line(&all, &rates) } else { page(&report(&all, now_usec(), colours, Some(&rates)).text) };
        output::stream(&text)?;
        sleep(INTERVAL).await;
        all = loop {
            match bus.look().await {
                Ok(all) => break all,
                Err(Failure::NoDaemon(_) | Failure::DaemonEnded) => {
                    if !as_json {
                        output::stream(&page("p2pusbd is not running.\n"))?;
                    }
                    sleep(INTERVAL).await;
                }
                Err(failure) => return Err(failure),
            }
        };
    }
}

/// On a terminal each page takes the place of the one before, elsewhere an empty line is between them.
fn page(text: &str) -> String {
    if stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb") {
        format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
    } else {
        format!("{text}\n")
    }
}

fn line(all: &Snapshot, rates: &Rates) -> String {
    let rate = |attachment: &Attachment| {
        let Rate { bytes_in, bytes_out } = rates.of(attachment);
        let (path, rtt_usec) = all.peer(&attachment.peer).map_or(("none", 0), |peer| (&peer.path_kind, peer.rtt_usec));
        JsonRate {
            number: attachment.number,
            bytes_in_per_second: bytes_in,
            bytes_out_per_second: bytes_out,
            path: path.to_owned(),
            rtt_usec,
        }
    };
    let rates = all.attachments.iter().map(rate).collect();
    output::line(&Line { time_usec: now_usec(), status: json(all), rates })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    #[test]
    fn rates_are_what_was_counted_between_two_looks() {
        let mut all = example();
        let mut rates = Rates::default();
        rates.count(&all, Duration::ZERO);
        assert_eq!(rates.of(&all.attachments[0]), Rate::default());
        all.attachments[0].bytes_in += 3_000_000;
        all.attachments[0].bytes_out += 500;
        rates.count(&all, Duration::from_millis(2000));
        assert_eq!(rates.of(&all.attachments[0]), Rate { bytes_in: 1_500_000, bytes_out: 250 });
        let json: serde_json::Value = serde_json::from_str(&line(&all, &rates)).unwrap();
        assert_eq!(
            json["rates"],
            serde_json::json!([{
                "number": 1, "bytes_in_per_second": 1_500_000, "bytes_out_per_second": 250,
                "path": "direct", "rtt_usec": 20_500,
            }])
        );
        assert_eq!(json["attachments"][0]["number"], 1);
        let text = report(&all, 61_000_000, Colours::none(), Some(&rates)).text;
        assert!(text.contains("PATH    RTT      IN/S      OUT/S\n"), "{text}");
        assert!(text.contains("direct  20.5 ms  1.5 MB/s  250 B/s\n"), "{text}");
        // Another daemon counts from the beginning.
        all.attachments[0].bytes_in = 7;
        rates.count(&all, Duration::from_secs(1));
        assert_eq!(rates.of(&all.attachments[0]).bytes_in, 0);
    }
}
