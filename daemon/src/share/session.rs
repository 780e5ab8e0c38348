//! One claim at work.
//!
//! A lane has two tasks' worth of work that run side by side: submits come in from the stream and go to the
//! device; completions come from the device and go out on the stream. Between them stands the lane's state
//! ([`ExporterLane`]), which decides what an unlink means and holds the peer to its limits.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use iroh::endpoint::{RecvStream, SendStream};
use p2pusb_protocol::{
    Accept, Complete, ExporterLane, FrameLimits, LaneError, LaneMessage, MAX_LANES, MAX_URBS_PER_LANE, Submit,
    UnlinkOutcome, UrbStatus,
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tracing::{debug, warn};

use crate::{
    error::{Error, Result},
    net::frames::{read_frame, write_frame},
    stop::Stop,
    usb::{
        Completion, DeviceInfo, OpenDevice, SpecialRequest, Transfer, TransferData, TransferType, UsbHost, recovery,
        special_request,
    },
};

/// Control and interrupt lanes go before bulk lanes.
const PRIORITY_URGENT: i32 = 1;

#[derive(Debug, Default)]
struct Lane {
    state: ExporterLane,
    open: bool,
}

/// A device that a peer has claimed.
#[derive(Debug)]
pub(crate) struct ShareSession {
    device: Arc<OpenDevice>,
    info: DeviceInfo,
    runtime: PathBuf,
    lanes: Mutex<HashMap<u8, Lane>>,
    stop: Stop,
}

impl ShareSession {
    /// Takes the device from this machine's drivers.
    pub(crate) async fn open(host: Arc<UsbHost>, info: DeviceInfo, runtime: PathBuf, stop: Stop) -> Result<Arc<Self>> {
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
        Ok(Arc::new(Self { device, info, runtime, lanes: Mutex::default(), stop }))
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

    /// Serves a lane until the session or the stream ends. An error means that the peer broke the protocol.
    pub(crate) async fn run_lane(&self, endpoint: u8, to: SendStream, from: RecvStream) -> Result<(), String> {
        {
            let mut lanes = self.lanes();
            if lanes.len() >= MAX_LANES && !lanes.contains_key(&endpoint) {
                return Err(format!("more than {MAX_LANES} lanes"));
            }
            if std::mem::replace(&mut lanes.entry(endpoint).or_default().open, true) {
                return Err(format!("the lane of endpoint {endpoint:#04x} was opened twice"));
            }
        }
        if matches!(self.device.endpoint(endpoint), Some(TransferType::Control | TransferType::Interrupt)) {
            // A closed stream has no priority; its lane ends at once anyway.
            let _ = to.set_priority(PRIORITY_URGENT);
        }
        let (done, completions) = mpsc::channel(MAX_URBS_PER_LANE);
        tokio::select! {
            result = self.read_submits(endpoint, from, done) => result,
            result = self.write_completions(endpoint, to, completions) => result,
            _ = self.stop.stopped() => Ok(()),
        }
    }

    async fn read_submits(
        &self,
        endpoint: u8,
        mut from: RecvStream,
        done: mpsc::Sender<Completion>,
    ) -> Result<(), String> {
        loop {
            let frame = match read_frame(&mut from, FrameLimits::LANE).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(crate::net::frames::FrameError::Stream(error)) => {
                    debug!("a lane's stream failed: {error}");
                    return Ok(());
                }
                Err(error) => return Err(error.to_string()),
            };
            let submit = match LaneMessage::decode(frame.kind, &frame.header) {
                Ok(Some(LaneMessage::Submit(submit))) => submit,
                Ok(None) => continue,
                Ok(Some(_)) => return Err("a lane's message out of order".to_owned()),
                Err(error) => return Err(error.to_string()),
            };
            let seq = submit.seq;
            let finished = match self.submit(endpoint, submit, frame.payload, &done)? {
                Submitted::Running => continue,
                Submitted::Finished(status) => status,
                Submitted::Special(request) => self.special(request).await,
            };
            let completion = Completion { endpoint, tag: seq, status: finished, actual_length: 0, data: Bytes::new() };
            if done.send(completion).await.is_err() {
                return Ok(());
            }
        }
    }

    fn submit(
        &self,
        endpoint: u8,
        submit: Submit,
        payload: Bytes,
        done: &mpsc::Sender<Completion>,
    ) -> Result<Submitted, String> {
        let input = submit.setup.map_or(endpoint, |setup| setup[0]) & 0x80 != 0;
        if (endpoint == 0) != submit.setup.is_some() {
            return Err("a SETUP packet belongs to endpoint 0, and to no other".to_owned());
        }
        if payload.len() != if input { 0 } else { submit.length as usize } {
            return Err(format!("a URB of {} bytes came with {} bytes of data", submit.length, payload.len()));
        }
        let mut lanes = self.lanes();
        let lane = &mut lanes.entry(endpoint).or_default().state;
        match lane.accept(submit.seq, submit.length).map_err(|error| error.to_string())? {
            Accept::Cancelled => return Ok(Submitted::Finished(UrbStatus::Cancelled)),
            Accept::Run => {}
        }
        if let Some(request) = submit.setup.as_ref().and_then(special_request) {
            return Ok(Submitted::Special(request));
        }
        let data = if input { TransferData::In(submit.length as usize) } else { TransferData::Out(payload) };
        let transfer = Transfer { endpoint, setup: submit.setup, data, flags: submit.flags };
        Ok(match self.device.submit(transfer, submit.seq, done) {
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
        mut completions: mpsc::Receiver<Completion>,
    ) -> Result<(), String> {
        while let Some(done) = completions.recv().await {
            // Before it is written: the peer may use the room as soon as it has read it.
            if !self.lanes().entry(endpoint).or_default().state.complete(done.tag) {
                warn!(P2PUSB_DEVICE = %self.info.bus_path, "URB {} of endpoint {endpoint:#04x} was completed twice", done.tag);
                continue;
            }
            let complete = Complete { seq: done.tag, status: done.status, actual_length: done.actual_length };
            let head = LaneMessage::Complete(complete).encode(done.data.len() as u32);
            if let Err(error) = write_frame(&mut to, head, done.data).await {
                debug!("a lane's stream failed: {error}");
                return Ok(());
            }
        }
        Ok(())
    }
}

enum Submitted {
    Running,
    Finished(UrbStatus),
    Special(SpecialRequest),
}
