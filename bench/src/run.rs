//! The run: who is measured, in which order, and how often.

use std::{fs, path::PathBuf, thread::sleep, time::Duration};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    Result,
    child::Side,
    measure::{Outcome, What},
    report,
    usage::Usage,
};

/// How often everything is measured; the medians count.
const ROUNDS: usize = 3;
/// Bytes of one measurement of throughput.
const BYTES: u64 = 256 << 20;
/// Messages of one measurement of latency.
const MESSAGES: u64 = 3000;
/// Reports of one measurement.
const REPORTS: u64 = 1000;
/// What is cut off all of these with `--quick`, which gives an idea and no figures.
const QUICK: u64 = 8;
/// How long a pair is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(2);

/// The transfer sizes whose throughput is measured.
pub(crate) const SIZES: [usize; 3] = [4 << 10, 64 << 10, 1 << 20];

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    Tcp,
    Iroh,
    /// Two daemons; the device completes its transfers on a thread of its own, as libusb does.
    Pair,
    /// Two daemons; the device completes its transfers within the submit.
    Inline,
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [Self::Tcp, Self::Iroh, Self::Pair, Self::Inline];
}

/// Where the processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// Wherever the scheduler puts them.
    Free,
    /// Both on one CPU: what the software costs, without what it costs to wake another CPU.
    OneCpu,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) outcome: Outcome,
    pub(crate) exporter: Usage,
    pub(crate) importer: Usage,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) all: Vec<(Place, Who, What, Sample)>,
    /// The memory of two daemons with a device attached and nothing to do: exporter, importer.
    pub(crate) idle: Option<(Usage, Usage)>,
}

struct Contender {
    who: Who,
    server: Side,
    client: Side,
    _folder: Option<Folder>,
}

/// A folder that is gone when this is.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Contender {
    fn start(who: Who) -> Result<Self> {
        let mut kept = None;
        let (mut server, mut client) = match who {
            Who::Tcp => (Side::start(&["tcp-server"])?, Side::start(&["tcp-client"])?),
            Who::Iroh => (Side::start(&["iroh-server"])?, Side::start(&["iroh-client"])?),
            Who::Pair | Who::Inline => {
                let folder = std::env::temp_dir().join(format!("p2pusb-bench-{}-{who:?}", std::process::id()));
                let (here, there) = (folder.join("exporter"), folder.join("importer"));
                fs::create_dir_all(&here)?;
                fs::create_dir_all(&there)?;
                kept = Some(Folder(folder));
                let how = if who == Who::Inline { "inline" } else { "thread" };
                let exporter = Side::start(&["exporter", &here.to_string_lossy(), how])?;
                (exporter, Side::start(&["importer", &there.to_string_lossy()])?)
            }
        };
        let card = server.hear()?;
        client.ask(&card)?;
        Ok(Self { who, server, client, _folder: kept })
    }

    fn measure(&mut self, what: What) -> Result<Sample> {
        let (exporter, importer) = (self.server.usage()?, self.client.usage()?);
        let outcome = self.client.ask(&what.to_string())?.parse()?;
        Ok(Sample {
            outcome,
            exporter: self.server.usage()?.since(exporter),
            importer: self.client.usage()?.since(importer),
        })
    }
}

/// Everything, or only what `options` name: `--quick`, `--rounds N`, `--verbose`, `latency`, `throughput`.
pub(crate) fn run(options: &[&str]) -> Result {
    let mut rounds = ROUNDS;
    let mut part = 1;
    let (mut latency, mut throughput, mut verbose) = (true, true, false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--quick" => (part, rounds) = (QUICK, 1),
            "--rounds" => rounds = options.next().ok_or("--rounds needs a number")?.parse()?,
            "--verbose" => verbose = true,
            "latency" => throughput = false,
            "throughput" => latency = false,
            other => return Err(format!("there is no option {other}").into()),
        }
    }
    let mut samples = Samples::default();
    let messages = MESSAGES / part;
    let trips = [What::Urb { count: messages }, What::Echo { count: messages }, What::OutThenIn { count: messages }];
    let mut cases: Vec<What> = Vec::new();
    if throughput {
        for size in SIZES {
            // Small transfers take longer for as many bytes.
            let count = BYTES / part / (size as u64) / if size < 65536 { 4 } else { 1 };
            cases.extend([What::In { size, count }, What::Out { size, count }, What::Asked { size, count }]);
        }
    }
    if latency {
        cases.extend(trips);
        cases.push(What::Reports { count: REPORTS / part });
    }
    measure(&mut samples, Place::Free, &cases, rounds, verbose)?;
    if latency {
        measure(&mut samples, Place::OneCpu, &trips, rounds, verbose)?;
    }
    report::print(&samples, rounds);
    Ok(())
}

fn measure(samples: &mut Samples, place: Place, cases: &[What], rounds: usize, verbose: bool) -> Result {
    let anywhere = sched_getaffinity(Pid::from_raw(0))?;
    if place == Place::OneCpu {
        // Processes that are started from now on inherit it.
        let first = (0..CpuSet::count()).find(|cpu| anywhere.is_set(*cpu).unwrap_or(false)).ok_or("no CPU")?;
        let mut one = CpuSet::new();
        one.set(first)?;
        sched_setaffinity(Pid::from_raw(0), &one)?;
    }
    let contenders = Who::ALL.into_iter().map(Contender::start).collect::<Result<Vec<_>>>();
    sched_setaffinity(Pid::from_raw(0), &anywhere)?;
    let mut contenders = contenders?;
    for contender in &contenders {
        eprintln!("{:?}: processes {} and {}", contender.who, contender.server.pid(), contender.client.pid());
    }
    if place == Place::Free {
        sleep(IDLE);
        if let Some(pair) = contenders.iter_mut().find(|contender| contender.who == Who::Pair) {
            samples.idle = Some((pair.server.usage()?, pair.client.usage()?));
        }
    }
    for round in 0..rounds {
        for &what in cases {
            for contender in &mut contenders {
                // Some of it makes no sense for everybody.
                let measured = match what {
                    What::Asked { .. } => contender.who == Who::Iroh,
                    What::Reports { .. } => contender.who != Who::Tcp,
                    _ => true,
                };
                if measured {
                    if verbose {
                        eprintln!("{place:?} {:?}: {what}", contender.who);
                    }
                    let sample = contender.measure(what)?;
                    samples.all.push((place, contender.who, what, sample));
                }
            }
        }
        eprintln!("{place:?}: round {} of {rounds} is over", round + 1);
    }
    Ok(())
}
