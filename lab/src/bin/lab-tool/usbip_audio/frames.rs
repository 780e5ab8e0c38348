//! The bus's clock: one frame after the other, whether anybody has something to transfer or not.

use std::time::{Duration, Instant};

/// The speed of the simulated device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speed {
    Full,
    High,
}

impl Speed {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "high" => Some(Self::High),
            _ => None,
        }
    }

    /// As the kernel numbers them (enum `usb_device_speed`).
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Full => 2,
            Self::High => 3,
        }
    }

    /// Frames, or at high speed microframes, in a second.
    pub(super) fn frames_per_second(self) -> u32 {
        match self {
            Self::Full => 1_000,
            Self::High => 8_000,
        }
    }
}

/// Counts the frames since the device was plugged in.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    frame: Duration,
}

impl Clock {
    pub(super) fn new(speed: Speed) -> Self {
        Self { start: Instant::now(), frame: Duration::from_secs(1) / speed.frames_per_second() }
    }

    /// The frame that is under way.
    pub(super) fn now(&self) -> u64 {
        (self.start.elapsed().as_nanos() / self.frame.as_nanos()) as u64
    }

    /// How long it is until a frame begins.
    pub(super) fn until(&self, frame: u64) -> Duration {
        Duration::from_nanos(self.frame.as_nanos() as u64 * frame).saturating_sub(self.start.elapsed())
    }
}
