//! One endpoint of a claimed device: what its peer has submitted, and what the device has done about it.

use p2pusb_protocol::{Complete, ExporterLane, MAX_URBS_PER_LANE, iso};
use tokio::sync::mpsc;

use crate::{net::frames::Payload, usb::Completion};

/// It outlives the streams that serve it, one after the other.
#[derive(Debug)]
pub(super) struct Lane {
    /// What runs, and what the peer may not have heard of.
    pub(super) state: ExporterLane<Payload>,
    /// Where the device's completions go. Each URB that takes up room in `state` has at most one here.
    pub(super) done: mpsc::Sender<Completion>,
    /// … and where they come out; `None` while a stream serves the lane.
    pub(super) completions: Option<mpsc::Receiver<Completion>>,
}

impl Lane {
    /// Takes a URB that has ended. `false` where it had ended before, which a device can't do.
    pub(super) fn complete(&mut self, done: Completion) -> bool {
        let Completion { tag: seq, status, actual_length, data, packets, .. } = done;
        // No more than the submit had, and that is within the limit.
        let complete = Complete { seq, status, actual_length, packets: packets.len() as u16 };
        self.state.complete(complete, Payload { table: iso::encode_packets(&packets), data })
    }
}

impl Default for Lane {
    fn default() -> Self {
        let (done, completions) = mpsc::channel(MAX_URBS_PER_LANE);
        Self { state: ExporterLane::new(), done, completions: Some(completions) }
    }
}
