//! A simulated device, and what becomes of its transfers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use p2pusb_protocol::{UrbFlags, UrbStatus};
use tokio::sync::mpsc;

use super::{
    host::{Done, Job, Worker},
    model::{Behaviour, Model, SimEndpoint, report},
};
use crate::{
    sim::pattern,
    usb::{Completion, Device, GiveBackReport, SpecialRequest, Transfer, TransferData, TransferType, special_request},
};

/// How much a loopback endpoint holds before it makes its sender wait, in transfers.
const LOOP_DEPTH: usize = 64;

const GET_DESCRIPTOR: u8 = 6;
const DESCRIPTOR_DEVICE: u8 = 1;
const DESCRIPTOR_CONFIGURATION: u8 = 2;
const DEVICE_DESCRIPTOR_LEN: usize = 18;

/// A simulated device. It outlives being opened and given back, and so do its counts.
#[derive(Debug)]
pub struct SimDevice {
    model: Model,
    descriptors: Bytes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    endpoints: Vec<Endpoint>,
    /// What came out on a loopback endpoint and has not been read yet, by the endpoint's number.
    loops: [VecDeque<Bytes>; 16],
    is_open: bool,
    /// Unplugged.
    gone: bool,
}

/// What has happened on an endpoint since the device was plugged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transfers that were completed as done.
    pub done: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Transfers that were cancelled.
    pub cancelled: u64,
    /// OUT transfers of a sink that had not the data that they should have.
    pub wrong: u64,
    /// Reports that nobody waited for.
    pub dropped: u64,
    /// What a recorder has noted, in order.
    pub numbers: Vec<u64>,
}

#[derive(Debug)]
struct Endpoint {
    what: SimEndpoint,
    flights: VecDeque<Flight>,
    halted: bool,
    /// When the next one may complete.
    due: Option<Instant>,
    /// The number of the next pattern or report.
    next: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Flight {
    tag: u64,
    data: TransferData,
    short_not_ok: bool,
    done: Done,
}

impl Flight {
    fn end(self, endpoint: u8, status: UrbStatus, actual_length: usize, data: Bytes) {
        self.done.send(completion(endpoint, self.tag, status, actual_length, data));
    }
}

fn completion(endpoint: u8, tag: u64, status: UrbStatus, actual_length: usize, data: Bytes) -> Completion {
    Completion { endpoint, tag, status, actual_length: actual_length as u32, data, packets: Vec::new() }
}

impl SimDevice {
    pub(super) fn new(model: Model) -> Self {
        let endpoint = |what: &SimEndpoint| Endpoint {
            what: *what,
            flights: VecDeque::new(),
            halted: false,
            due: None,
            next: 0,
            counts: Counts::default(),
        };
        let endpoints = model.endpoints.iter().map(endpoint).collect();
        let state = Mutex::new(State { endpoints, ..State::default() });
        Self { descriptors: model.descriptors(), model, state }
    }

    /// What has happened on an endpoint.
    pub fn counts(&self, address: u8) -> Counts {
        self.state().endpoint(address).map(|endpoint| endpoint.counts.clone()).unwrap_or_default()
    }

    /// How many transfers are in flight on an endpoint.
    pub fn in_flight(&self, address: u8) -> usize {
        self.state().endpoint(address).map_or(0, |endpoint| endpoint.flights.len())
    }

    /// Whether somebody has opened it.
    pub fn is_open(&self) -> bool {
        self.state().is_open
    }

    /// Has an endpoint stall until its halt is cleared.
    pub fn stall(&self, address: u8) {
        let mut state = self.state();
        let Some(endpoint) = state.endpoint(address) else { return };
        endpoint.halted = true;
        for flight in endpoint.flights.drain(..) {
            flight.end(address, UrbStatus::Stalled, 0, Bytes::new());
        }
    }

    pub(super) fn open(&self) {
        self.state().is_open = true;
        self.start_afresh();
    }

    /// Ends all transfers.
    pub(super) fn end(&self, status: UrbStatus) {
        let mut state = self.state();
        state.gone |= status == UrbStatus::Gone;
        for endpoint in &mut state.endpoints {
            endpoint.end(status);
        }
    }

    /// Brings all endpoints to where they are after a reset.
    fn start_afresh(&self) {
        let State { endpoints, loops, .. } = &mut *self.state();
        for endpoint in endpoints {
            endpoint.end(UrbStatus::Cancelled);
            endpoint.halted = false;
            endpoint.due = None;
        }
        loops.iter_mut().for_each(VecDeque::clear);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes what can be completed on an endpoint now; says when there will be more, where only time is missing.
    pub(super) fn run(&self, address: u8) -> Option<Instant> {
        let mut state = self.state();
        if !state.is_open {
            return None;
        }
        if state.endpoint(address)?.what.behaviour != Behaviour::Loopback {
            return state.run(address);
        }
        // What goes out may be waited for, and what came in has made room.
        let (out, in_) = (address & 0x7f, address | 0x80);
        [out, in_, out].into_iter().filter_map(|address| state.run(address)).min()
    }

    pub(super) fn cancel(&self, address: u8, tag: u64) {
        let mut state = self.state();
        let Some(endpoint) = state.endpoint(address) else { return };
        let Some(at) = endpoint.flights.iter().position(|flight| flight.tag == tag) else { return };
        if let Some(flight) = endpoint.flights.remove(at) {
            endpoint.counts.cancelled += 1;
            flight.end(address, UrbStatus::Cancelled, 0, Bytes::new());
        }
    }

    /// A control request: the descriptors, and an answer of zeros to everything else.
    fn control(&self, setup: [u8; 8], data: &TransferData) -> (UrbStatus, usize, Bytes) {
        let asked = match data {
            TransferData::Out(bytes) => return (UrbStatus::Ok, bytes.len(), Bytes::new()),
            TransferData::In(asked) => *asked,
        };
        let answer = match (setup[0], setup[1], setup[3]) {
            (0x80, GET_DESCRIPTOR, DESCRIPTOR_DEVICE) => self.descriptors.slice(..DEVICE_DESCRIPTOR_LEN),
            (0x80, GET_DESCRIPTOR, DESCRIPTOR_CONFIGURATION) => self.descriptors.slice(DEVICE_DESCRIPTOR_LEN..),
            (0x80, GET_DESCRIPTOR, _) => return (UrbStatus::Stalled, 0, Bytes::new()),
            _ => Bytes::from(vec![0; asked]),
        };
        let answer = answer.slice(..answer.len().min(asked));
        (UrbStatus::Ok, answer.len(), answer)
    }
}

impl State {
    fn endpoint(&mut self, address: u8) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|endpoint| endpoint.what.address == address)
    }

    fn run(&mut self, address: u8) -> Option<Instant> {
        let Self { endpoints, loops, .. } = self;
        let endpoint = endpoints.iter_mut().find(|endpoint| endpoint.what.address == address)?;
        endpoint.run(&mut loops[usize::from(address & 0x0f)])
    }
}

impl Endpoint {
    fn end(&mut self, status: UrbStatus) {
        for flight in self.flights.drain(..) {
            flight.end(self.what.address, status, 0, Bytes::new());
        }
    }

    /// Completes what can be completed. `held` is what a loopback holds.
    fn run(&mut self, held: &mut VecDeque<Bytes>) -> Option<Instant> {
        let pace = self.what.pace;
        while !self.halted && self.can_complete(held) {
            if !pace.is_zero() {
                let now = Instant::now();
                let due = *self.due.get_or_insert(now + pace);
                if due > now {
                    return Some(due);
                }
                self.due = Some((due + pace).max(now));
            }
            let Some(flight) = self.flights.pop_front() else {
                // A report that nobody waits for.
                self.counts.dropped += 1;
                self.next += 1;
                continue;
            };
            self.complete(flight, held);
        }
        None
    }

    fn can_complete(&self, held: &VecDeque<Bytes>) -> bool {
        let is_in = self.what.address & 0x80 != 0;
        match self.what.behaviour {
            Behaviour::Stuck => false,
            // A clock that ticks whether somebody waits or not.
            Behaviour::Reports if !self.what.pace.is_zero() && self.next > 0 => true,
            Behaviour::Loopback if is_in => !self.flights.is_empty() && !held.is_empty(),
            Behaviour::Loopback => !self.flights.is_empty() && held.len() < LOOP_DEPTH,
            _ => !self.flights.is_empty(),
        }
    }

    fn complete(&mut self, flight: Flight, held: &mut VecDeque<Bytes>) {
        let address = self.what.address;
        let (length, data) = match &flight.data {
            TransferData::In(asked) => {
                let mut data = match self.what.behaviour {
                    Behaviour::Reports => report(self.next),
                    Behaviour::Loopback => held.pop_front().unwrap_or_default(),
                    _ => pattern(self.next, *asked),
                };
                data.truncate(*asked);
                (data.len(), data)
            }
            TransferData::Out(bytes) => {
                match self.what.behaviour {
                    Behaviour::Loopback => held.push_back(bytes.clone()),
                    Behaviour::Recorder => {
                        let number = bytes.first_chunk().map_or(u64::MAX, |first| u64::from_le_bytes(*first));
                        self.counts.numbers.push(number);
                    }
                    _ => self.counts.wrong += u64::from(*bytes != pattern(self.next, bytes.len())),
                }
                (bytes.len(), Bytes::new())
            }
        };
        self.next += 1;
        self.counts.done += 1;
        self.counts.bytes += length as u64;
        let short = matches!(flight.data, TransferData::In(asked) if flight.short_not_ok && length < asked);
        flight.end(address, if short { UrbStatus::ShortNotOk } else { UrbStatus::Ok }, length, data);
    }
}

/// A simulated device that was opened.
#[derive(Debug)]
pub(super) struct OpenSim {
    pub(super) device: Arc<SimDevice>,
    pub(super) worker: Arc<Worker>,
}

impl Device for OpenSim {
    fn endpoint(&self, address: u8) -> Option<TransferType> {
        if address & 0x7f == 0 {
            return Some(TransferType::Control);
        }
        self.device.state().endpoint(address).map(|endpoint| endpoint.what.transfer_type)
    }

    fn submit(&self, transfer: Transfer, tag: u64, done: &mpsc::Sender<Completion>) -> Result<(), UrbStatus> {
        let Transfer { endpoint: address, setup, data, flags, .. } = transfer;
        let done = done.clone().try_reserve_owned().map_err(|_| UrbStatus::NoMemory)?;
        if let Some(setup) = setup {
            if address != 0 || special_request(&setup).is_some_and(|special| special != SpecialRequest::Refuse) {
                return Err(UrbStatus::Invalid);
            }
            let (status, length, data) = self.device.control(setup, &data);
            done.send(completion(address, tag, status, length, data));
            return Ok(());
        }
        let paced = {
            let mut state = self.device.state();
            if state.gone || !state.is_open {
                return Err(UrbStatus::Gone);
            }
            let endpoint = state.endpoint(address).ok_or(UrbStatus::NoEndpoint)?;
            if matches!(data, TransferData::In(_)) != (address & 0x80 != 0)
                || endpoint.flights.iter().any(|flight| flight.tag == tag)
            {
                return Err(UrbStatus::Invalid);
            }
            let flight = Flight { tag, data, short_not_ok: flags.contains(UrbFlags::SHORT_NOT_OK), done };
            if endpoint.halted {
                flight.end(address, UrbStatus::Stalled, 0, Bytes::new());
                return Ok(());
            }
            endpoint.flights.push_back(flight);
            !endpoint.what.pace.is_zero()
        };
        // Here, or on the thread.
        if self.device.model.inline && !paced {
            self.device.run(address);
        } else {
            self.worker.post(Job::Run { device: self.device.clone(), endpoint: address });
        }
        Ok(())
    }

    fn cancel(&self, endpoint: u8, tag: u64) {
        if self.device.model.inline {
            self.device.cancel(endpoint, tag);
        } else {
            self.worker.post(Job::Cancel { device: self.device.clone(), endpoint, tag });
        }
    }

    fn set_configuration(&self, value: u8) -> Result<(), UrbStatus> {
        self.device.start_afresh();
        if value <= 1 { Ok(()) } else { Err(UrbStatus::Stalled) }
    }

    fn set_interface(&self, interface: u8, alternate: u8) -> Result<(), UrbStatus> {
        self.device.start_afresh();
        if (interface, alternate) == (0, 0) { Ok(()) } else { Err(UrbStatus::Stalled) }
    }

    fn clear_halt(&self, endpoint: u8) -> Result<(), UrbStatus> {
        let mut state = self.device.state();
        state.endpoint(endpoint).ok_or(UrbStatus::NoEndpoint)?.halted = false;
        Ok(())
    }

    fn reset(&self) -> Result<(), UrbStatus> {
        self.device.start_afresh();
        Ok(())
    }

    fn give_back(self: Arc<Self>) -> GiveBackReport {
        self.device.state().is_open = false;
        self.device.end(UrbStatus::Cancelled);
        GiveBackReport { gone: self.device.state().gone, ..GiveBackReport::default() }
    }
}
