//! What is measured, and what comes out of one measurement.

use std::{fmt, str::FromStr, time::Duration};

use crate::Error;

/// URBs, or requests, that are outstanding at a time, as drivers keep them.
pub(crate) const DEPTH: u64 = 16;
/// How long a message or URB is whose latency is measured.
pub(crate) const SMALL: usize = 64;
/// How often a report is made.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_millis(2);
/// How long a report is.
pub(crate) const REPORT_LEN: usize = 16;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    /// `count` times `size` bytes, from the device to the kernel, or from the server to the client.
    In { size: usize, count: u64 },
    /// The other way.
    Out { size: usize, count: u64 },
    /// The same as `In`, each time asked for with a message, [`DEPTH`] ahead. Bare iroh only: the frames of a lane,
    /// without anything behind them.
    Asked { size: usize, count: u64 },
    /// [`SMALL`] bytes there, and an answer. Pair: a bulk OUT and its completion.
    Urb { count: u64 },
    /// [`SMALL`] bytes there and back. Pair: a bulk OUT to a loopback whose bulk IN is waiting already.
    Echo { count: u64 },
    /// Pair: a bulk OUT, and when it is complete the bulk IN that brings the same bytes: two round trips. Others: two
    /// echoes.
    OutThenIn { count: u64 },
    /// Reports of the device, one every [`REPORT_INTERVAL`]: how old they are when the driver has them.
    Reports { count: u64 },
}

impl What {
    /// How long a transfer is; 0 where latencies are measured.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::In { size, .. } | Self::Out { size, .. } | Self::Asked { size, .. } => size,
            Self::Urb { .. } | Self::Echo { .. } | Self::OutThenIn { .. } | Self::Reports { .. } => 0,
        }
    }

    /// How many bytes are transferred where throughput is measured.
    pub(crate) fn bytes(self) -> Option<f64> {
        match self {
            Self::In { size, count } | Self::Out { size, count } | Self::Asked { size, count } => {
                Some(size as f64 * count as f64)
            }
            Self::Urb { .. } | Self::Echo { .. } | Self::OutThenIn { .. } | Self::Reports { .. } => None,
        }
    }

    /// What it is called in tables.
    pub(crate) fn name(self) -> String {
        let size = self.size() >> 10;
        match self {
            Self::In { .. } => format!("IN, {size} KiB"),
            Self::Out { .. } => format!("OUT, {size} KiB"),
            Self::Asked { .. } => format!("asked for, {size} KiB"),
            Self::Urb { .. } => "OUT".to_owned(),
            Self::Echo { .. } => "echo".to_owned(),
            Self::OutThenIn { .. } => "OUT, then IN".to_owned(),
            Self::Reports { .. } => "report".to_owned(),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In { size, count } => write!(f, "in {size} {count}"),
            Self::Out { size, count } => write!(f, "out {size} {count}"),
            Self::Asked { size, count } => write!(f, "asked {size} {count}"),
            Self::Urb { count } => write!(f, "urb 0 {count}"),
            Self::Echo { count } => write!(f, "echo 0 {count}"),
            Self::OutThenIn { count } => write!(f, "out-then-in 0 {count}"),
            Self::Reports { count } => write!(f, "reports 0 {count}"),
        }
    }
}

impl FromStr for What {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let [name, size, count] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not a measurement: {text}").into());
        };
        let (size, count) = (size.parse()?, count.parse()?);
        Ok(match name {
            "in" => Self::In { size, count },
            "out" => Self::Out { size, count },
            "asked" => Self::Asked { size, count },
            "urb" => Self::Urb { count },
            "echo" => Self::Echo { count },
            "out-then-in" => Self::OutThenIn { count },
            "reports" => Self::Reports { count },
            other => return Err(format!("not a measurement: {other}").into()),
        })
    }
}

/// What came out, without what the processes used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    /// Microseconds; 0 where no latency was measured.
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Outcome {
    /// Of a run without latencies.
    pub(crate) fn after(elapsed: Duration) -> Self {
        Self { seconds: elapsed.as_secs_f64(), median: 0.0, p99: 0.0 }
    }

    /// Of single latencies.
    pub(crate) fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let at = |part: usize| {
            let index = (latencies.len() * part / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        Self { seconds: elapsed.as_secs_f64(), median: at(50), p99: at(99) }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.seconds, self.median, self.p99)
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let [seconds, median, p99] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("not an outcome: {text}").into());
        };
        Ok(Self { seconds: seconds.parse()?, median: median.parse()?, p99: p99.parse()? })
    }
}
