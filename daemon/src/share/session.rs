//! One claim at work.
//!
//! A lane has two tasks' worth of work that run side by side: submits come in from the stream and go to the
//! device; completions come from the device and go out on the stream. Between them stands the lane's state
//! ([`ExporterLane`](p2pusb_protocol::ExporterLane)), which decides what an unlink means, holds the peer to its
//! limits, and keeps what the peer may not have: a stream serves a lane for as long as its connection lasts, and
//! the next one goes on where it stopped.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use iroh::endpoint::{RecvStream, SendStream};
use p2pusb_protocol::{
    Accept, Direction, EndReason, LaneError, LaneMessage, LanePosition, MAX_LANES, ProtocolError, Submit,
    UnlinkOutcome, UrbStatus, iso,
};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};
use tracing::{debug, warn};

use super::{lane::Lane, pace::Pace};
use crate::{
    buffers::Buffers,
    counters::{Counted, Counters},
    error::{Error, Result},
    net::frames::{FrameError, PRIORITY_URGENT, read_lane_head, read_lane_payload, skip_payload, write_lane_frame},
    stop::Stop,
    usb::{
        BusPath, Completion, Device, DeviceInfo, Host, SpecialRequest, Transfer, TransferData, TransferType, recovery,
        special_request,
    },
};

/// A device that a peer has claimed.
#[derive(Debug)]
pub(crate) struct ShareSession {
    device: Arc<dyn Device>,
    info: DeviceInfo,
    runtime: PathBuf,
    lanes: Mutex<HashMap<u8, Lane>>,
    books: Books,
    buffers: Buffers,
    /// How often the session has gone on over another connection. Streams of an earlier one end.
    connection: watch::Sender<u64>,
    /// What works for the session now: streams, and requests that must not be cut off.
    working: watch::Sender<usize>,
    stop: Stop,
}

/// What a session is to count, and how fast it may be.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) counters: Arc<Counters>,
    pub(super) pace: Pace,
}

/// Counts as work for the session as long as it is there.
struct Working(Arc<ShareSession>);

impl Working {
    fn new(session: &Arc<ShareSession>) -> Self {
        session.working.send_modify(|count| *count += 1);
        Self(session.clone())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.send_modify(|count| *count -= 1);
    }
}

/// The completions of a lane in the hands of the stream that serves it. They go back with the stream's end.
struct Serving {
    session: Working,
    endpoint: u8,
    completions: Option<mpsc::Receiver<Completion>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(lane) = self.session.0.lanes().get_mut(&self.endpoint) {
            lane.completions = self.completions.take();
        }
    }
}

impl ShareSession {
    /// Takes the device from this machine's drivers.
    pub(super) async fn open(
        host: Arc<dyn Host>,
        info: DeviceInfo,
        books: Books,
        runtime: PathBuf,
        stop: Stop,
    ) -> Result<Arc<Self>> {
        let name = info.bus_path.to_string();
        let opened = spawn_blocking({
            let (info, runtime) = (info.clone(), runtime.clone());
            move || {
                // Written first: a daemon that is killed while it claims has something to give back, too.
                recovery::record(&runtime, &info)?;
                host.open(&info).inspect_err(|_| {
                    if let Err(error) = recovery::forget(&runtime, &info.bus_path) {
                        warn!("the record of a claim can't be removed: {error}");
                    }
                })
            }
        })
        .await
        .map_err(|error| Error::failed("opening a device was interrupted", error))?;
        let device = opened.map_err(|error| Error::failed(format!("{name} can't be taken from its driver"), error))?;
        Ok(Arc::new(Self {
            device,
            info,
            runtime,
            lanes: Mutex::default(),
            books,
            buffers: Buffers::new(),
            connection: watch::Sender::new(0),
            working: watch::Sender::new(0),
            stop,
        }))
    }

    /// Cancels everything and gives the device back to this machine's drivers.
    pub(crate) async fn close(&self) {
        let device = self.device.clone();
        let (runtime, bus_path) = (self.runtime.clone(), self.info.bus_path.clone());
        let closed = spawn_blocking(move || {
            device.give_back();
            recovery::forget(&runtime, &bus_path)
        })
        .await;
        match closed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("the record of a claim can't be removed: {error}"),
            Err(error) => warn!("giving a device back was interrupted: {error}"),
        }
    }

    /// Where the device is plugged.
    pub(crate) fn bus_path(&self) -> &BusPath {
        &self.info.bus_path
    }

    /// The session goes on over another connection: streams of the earlier one end, and each lane that the peer
    /// names stands where both sides say. `None` where yet another connection has come meanwhile. An error means that
    /// the peer broke the protocol.
    pub(crate) async fn resume(&self, positions: &[LanePosition]) -> Result<Option<Vec<LanePosition>>, LaneError> {
        self.connection.send_modify(|number| *number += 1);
        let this = *self.connection.borrow();
        // The sender is in self, so this ends when the count does.
        let _ = self.working.subscribe().wait_for(|count| *count == 0).await;
        if *self.connection.borrow() != this {
            return Ok(None);
        }
        let mut lanes = self.lanes();
        let stand = |&LanePosition { endpoint, position: received }: &LanePosition| {
            if lanes.len() >= MAX_LANES && !lanes.contains_key(&endpoint) {
                return Err(LaneError::TooManyUrbs);
            }
            let position = lanes.entry(endpoint).or_default().state.resume(received)?;
            Ok(LanePosition { endpoint, position })
        };
        positions.iter().map(stand).collect::<Result<_, _>>().map(Some)
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<u8, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels a URB, wherever it is; it may even be still on its way.
    pub(crate) fn unlink(&self, endpoint: u8, seq: u64) -> Result<(), LaneError> {
        let mut lanes = self.lanes();
        if lanes.len() >= MAX_LANES && !lanes.contains_key(&endpoint) {
            return Err(LaneError::TooManyUrbs);
        }
        match lanes.entry(endpoint).or_default().state.unlink(seq)? {
            // Still under the lock: a submit is accepted and handed to the device in one piece.
            UnlinkOutcome::CancelInFlight => self.device.cancel(endpoint, seq),
            UnlinkOutcome::Remembered | UnlinkOutcome::AlreadyDone => {}
        }
        Ok(())
    }

    /// Serves a lane until the session, its connection or the stream ends. An error means that the peer broke the
    /// protocol.
    pub(crate) async fn run_lane(
        self: Arc<Self>,
        endpoint: u8,
        to: SendStream,
        from: RecvStream,
    ) -> Result<(), String> {
        let mut connection = self.connection.subscribe();
        let completions = {
            let mut lanes = self.lanes();
            if lanes.len() >= MAX_LANES && !lanes.contains_key(&endpoint) {
                return Err(format!("more than {MAX_LANES} lanes"));
            }
            let completions = lanes.entry(endpoint).or_default().completions.take();
            completions.ok_or_else(|| format!("the lane of endpoint {endpoint:#04x} was opened twice"))?
        };
        let mut serving = Serving { session: Working::new(&self), endpoint, completions: Some(completions) };
        if self.device.endpoint(endpoint) != Some(TransferType::Bulk) {
            // A closed stream has no priority; its lane ends at once anyway.
            let _ = to.set_priority(PRIORITY_URGENT);
        }
        tokio::select! {
            result = self.read_submits(endpoint, from) => result,
            () = self.write_completions(endpoint, to, serving.completions.as_mut()) => Ok(()),
            _ = connection.changed() => Ok(()),
            _ = self.stop.stopped() => Ok(()),
        }
    }

    /// Whether this submit may come on the lane, with so much behind it.
    fn expect(&self, endpoint: u8, submit: &Submit, payload_len: u32) -> Result<(), String> {
        submit.check(endpoint, payload_len).map_err(|error| describe(&error))?;
        let mut lanes = self.lanes();
        let state = &mut lanes.entry(endpoint).or_default().state;
        // What it has received makes room.
        let room = state.acknowledge(submit.received).and_then(|()| state.check_room(submit.length));
        room.map_err(|error| error.to_string())
    }

    async fn read_submits(self: &Arc<Self>, endpoint: u8, mut from: RecvStream) -> Result<(), String> {
        loop {
            let head = match read_lane_head(&mut from, &self.buffers).await {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(()),
                Err(error) => return ended(error),
            };
            let submit = match LaneMessage::decode(head.kind, &head.header) {
                Ok(Some(LaneMessage::Submit(submit))) => submit,
                Ok(Some(LaneMessage::Acknowledge { received })) => {
                    let acknowledged = self.lanes().entry(endpoint).or_default().state.acknowledge(received);
                    acknowledged.map_err(|error| error.to_string())?;
                    continue;
                }
                Ok(None) => match skip_payload(&mut from, head.payload_len).await {
                    Ok(()) => continue,
                    Err(error) => return ended(error),
                },
                Ok(Some(_)) => return Err("a lane's message out of order".to_owned()),
                Err(error) => return Err(describe(&error)),
            };
            // Whoever has no room for its data must not have us wait for it.
            self.expect(endpoint, &submit, head.payload_len)?;
            let payload = match read_lane_payload(&mut from, head.payload_len, &self.buffers).await {
                Ok(payload) => payload,
                Err(error) => return ended(error),
            };
            self.pace(endpoint, payload.len()).await;
            let seq = submit.seq;
            match self.submit(endpoint, submit, payload)? {
                Submitted::Running => {}
                Submitted::Finished(status) => self.finish(endpoint, seq, status),
                Submitted::Special(request) => {
                    // What has begun is brought to its end, even if the connection is lost meanwhile.
                    let working = Working::new(self);
                    let run = async move {
                        let status = working.0.special(request).await;
                        working.0.finish(endpoint, seq, status);
                    };
                    if let Err(error) = tokio::spawn(run).await {
                        return Err(format!("{request:?} was interrupted: {error}"));
                    }
                }
            }
        }
    }

    /// So many bytes are on their way. Bulk transfers wait for their turn; others have promised the device a time, or are
    /// few, and those of bulk wait for them.
    async fn pace(&self, endpoint: u8, bytes: usize) {
        match self.device.endpoint(endpoint) {
            Some(TransferType::Bulk) => self.books.pace.wait(bytes).await,
            _ => self.books.pace.count(bytes),
        }
    }

    /// A URB has ended without a transfer.
    fn finish(&self, endpoint: u8, seq: u64, status: UrbStatus) {
        let done = self.lanes().entry(endpoint).or_default().done.clone();
        let completion =
            Completion { endpoint, tag: seq, status, actual_length: 0, data: Bytes::new(), packets: Vec::new() };
        if done.try_send(completion).is_err() {
            warn!(P2PUSB_DEVICE = %self.info.bus_path, "URB {seq} of endpoint {endpoint:#04x} ended and nobody can be told");
        }
    }

    fn submit(&self, endpoint: u8, submit: Submit, mut payload: Bytes) -> Result<Submitted, String> {
        let packets = match submit.packets {
            0 => Vec::new(),
            count => iso::decode_lengths(count, submit.length, &mut payload).map_err(|error| describe(&error))?,
        };
        let mut lanes = self.lanes();
        let lane = lanes.entry(endpoint).or_default();
        match lane.state.accept(submit.seq, submit.length, submit.received).map_err(|error| error.to_string())? {
            Accept::Cancelled => return Ok(Submitted::Finished(UrbStatus::Cancelled)),
            Accept::Run => {}
        }
        if let Some(request) = submit.setup.as_ref().and_then(special_request) {
            return Ok(Submitted::Special(request));
        }
        let data = match submit.direction(endpoint) {
            Direction::In => TransferData::In(submit.length as usize),
            Direction::Out => TransferData::Out(payload),
        };
        let transfer = Transfer { endpoint, setup: submit.setup, data, flags: submit.flags, packets };
        Ok(match self.device.submit(transfer, submit.seq, &lane.done) {
            Ok(()) => Submitted::Running,
            Err(status) => Submitted::Finished(status),
        })
    }

    /// Requests that change what the host's USB stack knows of the device go through libusb's own calls.
    async fn special(&self, request: SpecialRequest) -> UrbStatus {
        let device = self.device.clone();
        let result = spawn_blocking(move || match request {
            SpecialRequest::SetConfiguration(value) => device.set_configuration(value),
            SpecialRequest::SetInterface { interface, alternate } => device.set_interface(interface, alternate),
            SpecialRequest::ClearHalt { endpoint } => device.clear_halt(endpoint),
            SpecialRequest::Reset => device.reset(),
            SpecialRequest::Refuse => Err(UrbStatus::Stalled),
        })
        .await;
        match result {
            Ok(Ok(())) => UrbStatus::Ok,
            Ok(Err(status)) => {
                debug!(P2PUSB_DEVICE = %self.info.bus_path, "{request:?} failed: {status:?}");
                status
            }
            Err(error) => {
                warn!(P2PUSB_DEVICE = %self.info.bus_path, "{request:?} was interrupted: {error}");
                UrbStatus::Failed
            }
        }
    }

    async fn write_completions(
        &self,
        endpoint: u8,
        mut to: SendStream,
        completions: Option<&mut mpsc::Receiver<Completion>>,
    ) {
        let Some(completions) = completions else { return };
        loop {
            // First what another connection did not bring over.
            let next = self.lanes().entry(endpoint).or_default().state.send();
            if let Some((complete, payload)) = next {
                self.pace(endpoint, payload.data.len()).await;
                let message = LaneMessage::Complete(complete);
                if let Err(error) = write_lane_frame(&mut to, message, payload, &self.buffers).await {
                    return debug!("a lane's stream failed: {error}");
                }
                continue;
            }
            let Some(done) = completions.recv().await else { return };
            if done.status == UrbStatus::Gone {
                // The importer's kernel hears of the unplugging itself, not of an error that it would try to repair.
                return self.stop.stop(EndReason::DeviceUnplugged);
            }
            self.books.counters.count(counted(endpoint, &done));
            let seq = done.tag;
            if !self.lanes().entry(endpoint).or_default().complete(done) {
                warn!(P2PUSB_DEVICE = %self.info.bus_path, "URB {seq} of endpoint {endpoint:#04x} was completed twice");
            }
        }
    }
}

/// What a completion counts for.
fn counted(endpoint: u8, done: &Completion) -> Counted {
    // The control endpoint has both directions; only what was read has data.
    let input = endpoint & 0x80 != 0 || !done.data.is_empty();
    let failed = !matches!(done.status, UrbStatus::Ok | UrbStatus::Cancelled);
    Counted { input, bytes: done.actual_length, failed }
}

/// What the end of a lane's stream in the middle means. A connection that is lost may be lost in the middle of a frame.
fn ended(error: FrameError) -> Result<(), String> {
    match error {
        FrameError::Stream(error) => {
            debug!("a lane's stream failed: {error}");
            Ok(())
        }
        FrameError::Protocol(error) => Err(describe(&error)),
        error => Err(error.to_string()),
    }
}

/// A protocol error with what it comes from, for people.
fn describe(error: &ProtocolError) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

enum Submitted {
    Running,
    Finished(UrbStatus),
    Special(SpecialRequest),
}
