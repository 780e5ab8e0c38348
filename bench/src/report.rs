//! What is said of the measurements.

use crate::{
    measure::What,
    run::{Place, SIZES, Sample, Samples, Who},
};

/// The part of a bare stream's throughput that the data path is to reach, at 64 KiB.
const TARGET_SHARE: f64 = 0.8;
/// How much longer than a bare stream's a round trip of 64 bytes may take, in microseconds.
const TARGET_MEDIAN: f64 = 60.0;
const TARGET_P99: f64 = 300.0;
/// Resident memory in MB.
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

    fn whats(&self, place: Place) -> Vec<What> {
        let mut whats: Vec<What> = Vec::new();
        for (_, _, what, _) in self.all.iter().filter(|(p, ..)| *p == place) {
            if !whats.contains(what) {
                whats.push(*what);
            }
        }
        whats
    }
}

fn bytes(what: What) -> f64 {
    match what {
        What::In { size, count } | What::Out { size, count } | What::Asked { size, count } => {
            size as f64 * count as f64
        }
        _ => 0.0,
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Prints all tables.
pub(crate) fn print(samples: &Samples, rounds: usize) {
    println!("\nmedians of {rounds} rounds; MB = 10^6 bytes, KiB = 2^10\n");
    throughput(samples);
    latency(samples);
    memory(samples);
}

fn throughput(samples: &Samples) {
    let place = Place::Free;
    let mut any = false;
    for what in samples.whats(place).into_iter().filter(|what| bytes(*what) > 0.0) {
        if !any {
            println!(
                "{:22} {:>10} {:>10} {:>10} {:>10}  of iroh's",
                "throughput, MB/s", "TCP", "iroh", "pair", "inline"
            );
            any = true;
        }
        let rate = |who| samples.median(place, who, what, |sample| bytes(what) / 1e6 / sample.outcome.seconds);
        let (name, size) = match what {
            What::In { size, .. } => ("device to kernel", size),
            What::Out { size, .. } => ("kernel to device", size),
            What::Asked { size, .. } => ("frames, asked for", size),
            _ => continue,
        };
        let share = rate(Who::Pair).zip(rate(Who::Iroh)).map(|(pair, iroh)| pair / iroh);
        let inline = rate(Who::Inline).zip(rate(Who::Iroh)).map(|(pair, iroh)| pair / iroh);
        let target = match share {
            Some(share) if size == SIZE_OF_TARGETS => format!(" (target 80 %: {})", verdict(share >= TARGET_SHARE)),
            _ => String::new(),
        };
        let percent = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
        println!(
            "{name} {:>4} KiB {:>10} {:>10} {:>10} {:>10}  {} / {}{target}",
            size >> 10,
            cell(rate(Who::Tcp), 0),
            cell(rate(Who::Iroh), 0),
            cell(rate(Who::Pair), 0),
            cell(rate(Who::Inline), 0),
            percent(share),
            percent(inline),
        );
    }
    if !any {
        return;
    }
    println!(
        "\nCPU seconds per GB, exporter's side + importer's; the simulated ends' own not counted, but in brackets"
    );
    for what in samples.whats(place).into_iter().filter(|what| bytes(*what) > 0.0) {
        print!("{:22}", what.to_string());
        for who in Who::ALL {
            let per = |of: fn(&Sample) -> f64| samples.median(place, who, what, |s| of(s) / (bytes(what) / 1e9));
            let (Some(exporter), Some(importer)) = (per(|s| s.exporter.own()), per(|s| s.importer.own())) else {
                print!("  {:>22}", "-");
                continue;
            };
            let simulated = per(|s| s.exporter.simulated).zip(per(|s| s.importer.simulated));
            let simulated = simulated.filter(|(a, b)| a + b > 0.0);
            let brackets = simulated.map_or_else(String::new, |(a, b)| format!(" ({a:.2}+{b:.2})"));
            print!("  {:>22}", format!("{exporter:.2}+{importer:.2}{brackets}"));
        }
        println!();
    }
    println!("\nallocations per transfer on the daemon's thread, exporter + importer");
    for what in samples.whats(place).into_iter().filter(|what| bytes(*what) > 0.0) {
        let (What::In { size, count } | What::Out { size, count } | What::Asked { size, count }) = what else {
            continue;
        };
        print!("{:22}", what.to_string());
        for who in [Who::Iroh, Who::Pair, Who::Inline] {
            let per = |of: fn(&Sample) -> f64| samples.median(place, who, what, |s| of(s) / count as f64);
            let (exporter, importer) = (per(|s| s.exporter.allocations as f64), per(|s| s.importer.allocations as f64));
            print!("  {:>16}", format!("{}+{}", cell(exporter, 2), cell(importer, 2)));
        }
        // As many frames and bytes over a bare stream: one way, or with a request for each.
        let packets = size as f64 / 1200.0;
        println!("    ({packets:.1} packets each)");
    }
    assert!(SIZES.contains(&SIZE_OF_TARGETS));
}

fn latency(samples: &Samples) {
    for place in [Place::Free, Place::OneCpu] {
        let whats: Vec<What> = samples.whats(place).into_iter().filter(|what| bytes(*what) == 0.0).collect();
        if whats.is_empty() {
            continue;
        }
        println!(
            "\nlatency, median / p99 in µs, {}",
            match place {
                Place::Free => "wherever the scheduler puts the processes",
                Place::OneCpu => "both processes on one CPU",
            }
        );
        println!("{:34} {:>13} {:>13} {:>13} {:>13}  above iroh's", "", "TCP", "iroh", "pair", "inline");
        for what in whats {
            let name = match what {
                What::Urb { .. } => "64-byte OUT / 1 round trip",
                What::Echo { .. } => "64 bytes there and back / 1",
                What::OutThenIn { .. } => "OUT, then IN / 2 round trips",
                _ => "report's age / 1 message",
            };
            let both = |who| {
                let of = |of: fn(&Sample) -> f64| samples.median(place, who, what, of);
                of(|s| s.outcome.median).zip(of(|s| s.outcome.p99))
            };
            let text = |who| both(who).map_or_else(|| "-".to_owned(), |(m, p)| format!("{m:.0} / {p:.0}"));
            let above = both(Who::Pair).zip(both(Who::Iroh)).map(|((m, p), (im, ip))| (m - im, p - ip));
            let inline = both(Who::Inline).zip(both(Who::Iroh)).map(|((m, p), (im, ip))| (m - im, p - ip));
            let target = match (what, above) {
                (What::Echo { .. } | What::Urb { .. }, Some((m, p))) => {
                    format!(" (targets 60 / 300: {} / {})", verdict(m <= TARGET_MEDIAN), verdict(p <= TARGET_P99))
                }
                _ => String::new(),
            };
            let show =
                |above: Option<(f64, f64)>| above.map_or_else(String::new, |(m, p)| format!("{m:+.0} / {p:+.0}"));
            println!(
                "{name:34} {:>13} {:>13} {:>13} {:>13}  {}, inline {}{target}",
                text(Who::Tcp),
                text(Who::Iroh),
                text(Who::Pair),
                text(Who::Inline),
                show(above),
                show(inline),
            );
        }
    }
}

fn memory(samples: &Samples) {
    println!("\nresident memory in MB, exporter + importer, the simulated ends with them");
    if let Some((exporter, importer)) = samples.idle {
        let met = exporter.rss.max(importer.rss) <= TARGET_IDLE;
        println!("idle, attached: {:.1} + {:.1} (target 24: {})", exporter.rss, importer.rss, verdict(met));
    }
    for what in samples.whats(Place::Free).into_iter().filter(|what| bytes(*what) > 0.0) {
        let of = |of: fn(&Sample) -> f64| samples.median(Place::Free, Who::Pair, what, of);
        let Some((exporter, importer)) = of(|s| s.exporter.peak).zip(of(|s| s.importer.peak)) else { continue };
        let target = match what {
            What::In { size, .. } | What::Out { size, .. } if size == SIZE_OF_TARGETS => {
                format!(" (target 40: {})", verdict(exporter.max(importer) <= TARGET_LOAD))
            }
            _ => String::new(),
        };
        println!("{:22} {exporter:.1} + {importer:.1}{target}", what.to_string());
    }
}
