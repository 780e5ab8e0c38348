//! The run: who is measured, in which order, and how often.

use std::{fs, path::PathBuf, thread::sleep, time::Duration};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    Result,
    child::Side,
    lab, machine,
    measure::{Outcome, What},
    report, svg,
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

/// What is asked for on the command line.
#[derive(Debug)]
struct Options {
    rounds: usize,
    /// The part of everything that is measured.
    part: u64,
    latency: bool,
    throughput: bool,
    verbose: bool,
    /// A file with what the lab's scenarios have printed.
    lab: Option<PathBuf>,
    /// The folder for the report.
    out: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let (lab, out) = (None, None);
        let mut options = Self { rounds: ROUNDS, part: 1, latency: true, throughput: true, verbose: false, lab, out };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match *word {
                "--quick" => (options.part, options.rounds) = (QUICK, 1),
                "--rounds" => options.rounds = value()?.parse()?,
                "--verbose" => options.verbose = true,
                "--lab" => options.lab = Some(value()?.into()),
                "--out" => options.out = Some(value()?.into()),
                "latency" => options.throughput = false,
                "throughput" => options.latency = false,
                other => return Err(format!("there is no option {other}").into()),
            }
        }
        Ok(options)
    }
}

/// Measures everything, or what `words` name, prints it, and writes it where they say.
pub(crate) fn run(words: &[&str]) -> Result {
    let Options { rounds, part, latency, throughput, verbose, lab, out } = Options::parse(words)?;
    let (machine, commit, date) = (machine::machine(), machine::commit(), machine::date());
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
    let mut tables = report::tables(&samples);
    let mut charts = report::charts(&samples);
    if let Some(path) = lab {
        let output = fs::read_to_string(&path)?;
        let (table, chart) = lab::report(&output).ok_or_else(|| format!("no figures in {}", path.display()))?;
        tables.push(table);
        charts.push(chart);
    }
    let caption = format!("{machine}; {date}; commit {commit}; medians of {rounds} rounds");
    println!("\n{caption}");
    for table in &tables {
        print!("{}", table.text());
    }
    if let Some(folder) = out {
        fs::create_dir_all(&folder)?;
        let mut text = format!(
            "# Measured\n\n{caption}. MB is 10^6 bytes, KiB 2^10. [How to read it](README.md).\n\n\
             Command: `cargo xtask bench {}`\n\n![the same as bars](measured.svg)\n",
            words.iter().filter(|word| word.starts_with("--rounds")).copied().collect::<Vec<_>>().join(" ")
        );
        text = text.replace("bench `", "bench`");
        tables.iter().for_each(|table| text.push_str(&table.markdown()));
        fs::write(folder.join("measured.md"), text)?;
        fs::write(folder.join("measured.svg"), svg::draw(&charts, &caption))?;
        println!("\nwritten to {}", folder.display());
    }
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
