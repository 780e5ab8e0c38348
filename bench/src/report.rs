//! What is said of the measurements.

use crate::{
    measure::What,
    run::{Place, Sample, Samples, Who},
    svg::Chart,
    table::Table,
};

/// The part of a bare stream's throughput that the data path is to reach, at 64 KiB.
const TARGET_SHARE: f64 = 0.8;
/// How much longer than a bare stream's a round trip of 64 bytes may take, in microseconds.
const TARGET_MEDIAN: f64 = 60.0;
const TARGET_P99: f64 = 300.0;
/// Resident memory in MB: idle, and with one disk at full speed.
const TARGET_IDLE: f64 = 24.0;
const TARGET_LOAD: f64 = 40.0;

const SIZE_OF_TARGETS: usize = 64 << 10;

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Samples {
    /// The median of something over all rounds.
    fn median(&self, place: Place, who: Who, what: What, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let same = self.all.iter().filter(|(p, w, t, _)| (*p, *w, *t) == (place, who, what));
        median(same.map(|(.., sample)| of(sample)).collect())
    }

    /// The first measurement of something, before longer transfers have been made.
    fn first(&self, who: Who, what: What) -> Option<&Sample> {
        self.all.iter().find(|(p, w, t, _)| (*p, *w, *t) == (Place::Free, who, what)).map(|(.., sample)| sample)
    }

    /// What was measured of throughput, or of latency.
    fn whats(&self, place: Place, throughput: bool) -> Vec<What> {
        let mut whats: Vec<What> = Vec::new();
        for (_, _, what, _) in self.all.iter().filter(|(p, ..)| *p == place) {
            if !whats.contains(what) && what.bytes().is_some() == throughput {
                whats.push(*what);
            }
        }
        whats
    }

    /// MB/s.
    fn rate(&self, who: Who, what: What) -> Option<f64> {
        let bytes = what.bytes()?;
        self.median(Place::Free, who, what, |sample| bytes / 1e6 / sample.outcome.seconds)
    }

    /// Median and p99 in microseconds.
    fn latency(&self, place: Place, who: Who, what: What) -> Option<(f64, f64)> {
        let of = |of: fn(&Sample) -> f64| self.median(place, who, what, of);
        of(|sample| sample.outcome.median).zip(of(|sample| sample.outcome.p99))
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn cells(first: String, second: Option<String>) -> String {
    second.map_or_else(|| first.clone(), |second| format!("{first} + {second}"))
}

/// All tables.
pub(crate) fn tables(samples: &Samples) -> Vec<Table> {
    let mut tables = Vec::new();
    if !samples.whats(Place::Free, true).is_empty() {
        tables.extend([throughput(samples), cpu(samples), allocations(samples)]);
    }
    for place in [Place::Free, Place::OneCpu] {
        if !samples.whats(place, false).is_empty() {
            tables.push(latency(samples, place));
        }
    }
    tables.push(memory(samples));
    tables
}

fn throughput(samples: &Samples) -> Table {
    let mut table = Table::new(
        "Throughput",
        "In MB/s. 16 URBs are outstanding; TCP and iroh send one way. *Asked for* is a bare stream that is used like a \
         lane: a small message asks for each transfer, 16 ahead. The share is of what the bare iroh stream carries one \
         way; the target is 80 % at 64 KiB.",
        &["transfer", "TCP", "iroh", "iroh, asked for", "p2pusb", "p2pusb, inline", "share", "share, inline", "target"],
    );
    for what in samples.whats(Place::Free, true) {
        let asked = match what {
            What::Asked { .. } => continue,
            What::In { size, count } => samples.rate(Who::Iroh, What::Asked { size, count }),
            _ => None,
        };
        let share = |who| samples.rate(who, what).zip(samples.rate(Who::Iroh, what)).map(|(own, iroh)| own / iroh);
        let percent = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |s| format!("{:.0} %", s * 100.0));
        let target = share(Who::Pair).filter(|_| what.size() == SIZE_OF_TARGETS);
        table.rows.push(vec![
            what.name(),
            cell(samples.rate(Who::Tcp, what), 0),
            cell(samples.rate(Who::Iroh, what), 0),
            cell(asked, 0),
            cell(samples.rate(Who::Pair, what), 0),
            cell(samples.rate(Who::Inline, what), 0),
            percent(share(Who::Pair)),
            percent(share(Who::Inline)),
            target.map_or("", |share| verdict(share >= TARGET_SHARE)).to_owned(),
        ]);
    }
    table
}

fn cpu(samples: &Samples) -> Table {
    let mut table = Table::new(
        "CPU",
        "CPU seconds per GB: the exporter's (or server's) process + the importer's (or client's). In brackets what the \
         simulated device and kernel took, which is not counted.",
        &["transfer", "TCP", "iroh", "p2pusb", "p2pusb, inline"],
    );
    for what in samples.whats(Place::Free, true) {
        let gigabytes = what.bytes().unwrap_or(0.0) / 1e9;
        let mut row = vec![what.name()];
        for who in Who::ALL {
            let per = |of: fn(&Sample) -> f64| samples.median(Place::Free, who, what, |s| of(s) / gigabytes);
            let (Some(exporter), Some(importer)) = (per(|s| s.exporter.own()), per(|s| s.importer.own())) else {
                row.push("–".to_owned());
                continue;
            };
            let simulated = per(|s| s.exporter.simulated).zip(per(|s| s.importer.simulated));
            let brackets = match simulated.filter(|(a, b)| a + b > 0.0) {
                Some((a, b)) => format!(" ({a:.2} + {b:.2})"),
                None => String::new(),
            };
            row.push(format!("{exporter:.2} + {importer:.2}{brackets}"));
        }
        table.rows.push(row);
    }
    table
}

fn allocations(samples: &Samples) -> Table {
    let mut table = Table::new(
        "Allocations",
        "Per transfer, on the thread of the tasks: exporter + importer. iroh itself allocates for each packet and each \
         frame; the column *asked for* is the bare stream that carries the same frames as a lane, so what p2pusb makes \
         beyond it is the daemon's own.",
        &["transfer", "iroh", "iroh, asked for", "p2pusb", "p2pusb, inline"],
    );
    for what in samples.whats(Place::Free, true) {
        let (What::In { size, count } | What::Out { size, count }) = what else { continue };
        let both = |who, what| {
            let per = |of: fn(&Sample) -> u64| samples.median(Place::Free, who, what, |s| of(s) as f64 / count as f64);
            let (exporter, importer) = (per(|s| s.exporter.allocations), per(|s| s.importer.allocations));
            cells(cell(exporter, 2), importer.map(|importer| cell(Some(importer), 2)))
        };
        let asked = match what {
            What::In { .. } => both(Who::Iroh, What::Asked { size, count }),
            _ => "–".to_owned(),
        };
        table.rows.push(vec![
            what.name(),
            both(Who::Iroh, what),
            asked,
            both(Who::Pair, what),
            both(Who::Inline, what),
        ]);
    }
    table
}

fn latency(samples: &Samples, place: Place) -> Table {
    let title = match place {
        Place::Free => "Latency, wherever the scheduler puts the processes",
        Place::OneCpu => "Latency, both processes on one CPU",
    };
    let mut table = Table::new(
        title,
        "Median / p99 in µs. *OUT*: 64 bytes go out, and their completion comes back; *echo*: 64 bytes go out to a \
         loopback and come back to a URB that waits for them; both are one round trip of a bare stream. *OUT, then IN*: \
         two URBs one after the other, two round trips. *Report*: how old a report is when the driver has it, made every \
         2 ms. A target is one round trip of 64 bytes, at most 60 µs above iroh's at the median and 300 µs at p99.",
        &["", "TCP", "iroh", "p2pusb", "p2pusb, inline", "above iroh's", "inline, above", "targets"],
    );
    for what in samples.whats(place, false) {
        let text = |both: Option<(f64, f64)>| both.map_or_else(|| "–".to_owned(), |(m, p)| format!("{m:.0} / {p:.0}"));
        let of = |who| samples.latency(place, who, what);
        let above = |who| of(who).zip(of(Who::Iroh)).map(|((m, p), (im, ip))| (m - im, p - ip));
        let signed =
            |both: Option<(f64, f64)>| both.map_or_else(|| "–".to_owned(), |(m, p)| format!("{m:+.0} / {p:+.0}"));
        let targets = match (what, above(Who::Pair)) {
            (What::Echo { .. } | What::Urb { .. }, Some((m, p))) => {
                format!("{} / {}", verdict(m <= TARGET_MEDIAN), verdict(p <= TARGET_P99))
            }
            _ => String::new(),
        };
        table.rows.push(vec![
            what.name(),
            text(of(Who::Tcp)),
            text(of(Who::Iroh)),
            text(of(Who::Pair)),
            text(of(Who::Inline)),
            signed(above(Who::Pair)),
            signed(above(Who::Inline)),
            targets,
        ]);
    }
    table
}

fn memory(samples: &Samples) -> Table {
    let mut table = Table::new(
        "Memory",
        "Resident, in MB, the most so far in the first round, in this order: with all that the simulated ends hold (1.1 MB of patterns and \
         what a driver has outstanding), and without libusb and D-Bus, which the real daemon has besides.",
        &["", "exporter", "importer", "target"],
    );
    if let Some((exporter, importer)) = samples.idle {
        let met = exporter.rss.max(importer.rss) <= TARGET_IDLE;
        table.rows.push(vec![
            "idle, a device attached".to_owned(),
            format!("{:.1}", exporter.rss),
            format!("{:.1}", importer.rss),
            format!("24: {}", verdict(met)),
        ]);
    }
    for what in samples.whats(Place::Free, true) {
        let of = |of: fn(&Sample) -> f64| samples.first(Who::Pair, what).map(of);
        let Some((exporter, importer)) = of(|s| s.exporter.peak).zip(of(|s| s.importer.peak)) else { continue };
        let target = match what.size() {
            SIZE_OF_TARGETS => format!("40: {}", verdict(exporter.max(importer) <= TARGET_LOAD)),
            _ => String::new(),
        };
        table.rows.push(vec![what.name(), format!("{exporter:.1}"), format!("{importer:.1}"), target]);
    }
    table
}

/// Charts of throughput and latency.
pub(crate) fn charts(samples: &Samples) -> Vec<Chart> {
    let series: Vec<String> = ["TCP", "iroh", "p2pusb", "p2pusb, inline"].map(str::to_owned).to_vec();
    let mut charts = Vec::new();
    let throughput = samples.whats(Place::Free, true).into_iter().filter(|what| !matches!(what, What::Asked { .. }));
    let group = |what: What| (what.name(), Who::ALL.map(|who| samples.rate(who, what)).to_vec());
    charts.push(Chart {
        title: "Throughput, MB/s".to_owned(),
        series: series.clone(),
        groups: throughput.map(group).collect(),
        logarithmic: false,
    });
    for (place, title) in [(Place::Free, "free"), (Place::OneCpu, "on one CPU")] {
        let group = |what: What| {
            let values = Who::ALL.map(|who| samples.latency(place, who, what).map(|(median, _)| median));
            (what.name(), values.to_vec())
        };
        charts.push(Chart {
            title: format!("Latency, median in µs, {title}"),
            series: series.clone(),
            groups: samples.whats(place, false).into_iter().map(group).collect(),
            logarithmic: false,
        });
    }
    charts.retain(|chart| !chart.groups.is_empty());
    charts
}
