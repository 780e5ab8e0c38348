//! What a process has used so far.

use std::{fmt, fs, str::FromStr};

use crate::{Error, allocations};

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU seconds of the whole process …
    pub(crate) cpu: f64,
    /// … and those of its simulated end, which would be the kernel's or the hardware's.
    pub(crate) simulated: f64,
    /// Resident memory now, and the most since the last look, in MB (10^6).
    pub(crate) rss: f64,
    pub(crate) peak: f64,
    /// Allocations on the thread of the tasks.
    pub(crate) allocations: u64,
}

impl Usage {
    /// This process's.
    pub(crate) fn now() -> Self {
        let mut usage = Self { allocations: allocations::so_far(), ..Self::default() };
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        for task in tasks {
            let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let nanoseconds = read("schedstat").split_whitespace().next().and_then(|text| text.parse::<u64>().ok());
            let seconds = nanoseconds.unwrap_or(0) as f64 / 1e9;
            usage.cpu += seconds;
            let name = read("comm");
            if name.starts_with("sim-port") || name.starts_with("sim-usb") {
                usage.simulated += seconds;
            }
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kilobytes.unwrap_or(0.0) * 1024.0 / 1e6
        };
        (usage.rss, usage.peak) = (megabytes("VmRSS:"), megabytes("VmHWM:"));
        // proc(5): 5 resets the peak.
        let _ = fs::write("/proc/self/clear_refs", "5");
        usage
    }

    /// What was used between an earlier look and this one; memory as it was in between.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            simulated: self.simulated - before.simulated,
            allocations: self.allocations - before.allocations,
            ..self
        }
    }

    /// CPU seconds without those of the simulated end.
    pub(crate) fn own(self) -> f64 {
        self.cpu - self.simulated
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, simulated, rss, peak, allocations } = self;
        write!(f, "{cpu} {simulated} {rss} {peak} {allocations}")
    }
}

impl FromStr for Usage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let [cpu, simulated, rss, peak, allocations] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not a usage: {text}").into());
        };
        Ok(Self {
            cpu: cpu.parse()?,
            simulated: simulated.parse()?,
            rss: rss.parse()?,
            peak: peak.parse()?,
            allocations: allocations.parse()?,
        })
    }
}
