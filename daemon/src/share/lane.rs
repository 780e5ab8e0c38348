//! One endpoint of a claimed device: what its peer has submitted, and what the device has done about it.

use bytes::Bytes;
use p2pusb_protocol::{Complete, ExporterLane, MAX_URBS_PER_LANE};
use tokio::sync::mpsc;

use crate::usb::Completion;

/// It outlives the streams that serve it, one after the other.
#[derive(Debug)]
pub(super) struct Lane {
    /// What runs, and what the peer may not have heard of.
    pub(super) state: ExporterLane<Bytes>,
    /// Where the device's completions go. Each URB that takes up room in `state` has at most one here.
    pub(super) done: mpsc::Sender<Completion>,
    /// … and where they come out; `None` while a stream serves the lane.
    pub(super) completions: Option<mpsc::Receiver<Completion>>,
}

impl Lane {
    /// Takes a URB that has ended. `false` where it had ended before, which a device can't do.
    pub(super) fn complete(&mut self, done: Completion) -> bool {
        let complete = Complete { seq: done.tag, status: done.status, actual_length: done.actual_length };
        self.state.complete(complete, done.data)
    }
}

impl Default for Lane {
    fn default() -> Self {
        let (done, completions) = mpsc::channel(MAX_URBS_PER_LANE);
        Self { state: ExporterLane::new(), done, completions: Some(completions) }
    }
}
