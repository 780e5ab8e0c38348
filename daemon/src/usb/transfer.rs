//! Asynchronous transfers: the one place that speaks to libusb's own asynchronous interface.
//!
//! Every transfer that libusb holds has an entry in its device's [`Table`], under the endpoint and the tag that its
//! submitter chose. What makes this sound, all of it about who may touch what when:
//!
//! * libusb owns a transfer from a successful submit to its callback. What it needs until then (the buffer, where the
//!   completion goes) is in an [`InFlight`] that only the callback takes out.
//! * A callback never owns the device's handle, not even a share of it: closing a handle waits for the event thread,
//!   which would wait for itself. Callbacks see the [`Shared`] half of [`Transfers`], which has none.
//! * The memory of a transfer is shared between the callback and whoever cancels it, and freed by the later of both.
//!   libusb answers a late cancellation with "not found", provided that the memory is still there. It is used for another
//!   transfer only when nobody else has a share in it.
//! * The handle is closed only while the table is idle: no transfer in it, no callback and no cancellation under way, and
//!   none can start, because the table is closed first. An entry exists before libusb is asked to submit, so a submit
//!   that is under way counts, too.
//! * The lock of the table is never held across a call to libusb, and never while a completion is delivered.

use std::{
    collections::HashMap,
    fmt,
    os::raw::{c_int, c_uint},
    panic::{AssertUnwindSafe, catch_unwind},
    process::abort,
    ptr::NonNull,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use p2pusb_protocol::{IsoPacket, MAX_ISO_PACKETS, MAX_URB_LEN, UrbFlags, UrbStatus};
use rusb::ffi;
use tokio::sync::mpsc;

use super::{
    TransferType,
    cancel::Canceller,
    descriptor::{EndpointMap, EndpointSet},
    special::special_request,
    status::{self, Request},
};
use crate::buffers::Buffers;

/// The setup packet that libusb wants in front of a control transfer's data, in bytes.
const SETUP_LEN: usize = 8;

/// Data of an IN transfer up to this length is copied into memory of its own when its buffer is much larger, so that a
/// 13-byte status does not keep the 64 KiB alive that the driver had asked for.
const SMALL_DATA: usize = 512;

/// Transfers that are kept to be used again, for each device.
const MAX_SPARE: usize = 64;

/// Where libusb splits bulk transfers on host controllers without scatter-gather, in bytes (its
/// `MAX_BULK_BUFFER_LENGTH`).
const SPLIT_LEN: usize = 16 * 1024;

/// A transfer to be submitted.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The endpoint's address, with bit 7 set for IN. For control transfers 0x00 and 0x80 mean the same; the setup
    /// packet has the direction.
    pub endpoint: u8,
    /// The setup packet; for control transfers, and for nothing else.
    pub setup: Option<[u8; SETUP_LEN]>,
    /// What to send, or how much to receive.
    pub data: TransferData,
    /// The lengths of an isochronous transfer's packets, which lie in its data one after the other; empty for every
    /// other one.
    pub packets: Vec<u32>,
    /// How to treat short packets: [`UrbFlags::SHORT_NOT_OK`] for IN, [`UrbFlags::ZERO_PACKET`] for bulk OUT.
    pub flags: UrbFlags,
}

/// The data stage of a transfer.
#[derive(Debug, Clone)]
pub enum TransferData {
    /// These bytes, to the device.
    Out(Bytes),
    /// At most that many bytes, from the device.
    In(usize),
}

/// How a transfer ended.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The endpoint that the transfer was submitted with.
    pub endpoint: u8,
    /// The tag that the transfer was submitted with.
    pub tag: u64,
    /// How it went.
    pub status: UrbStatus,
    /// How many bytes the device took or gave. Never more than were asked for.
    pub actual_length: u32,
    /// For IN, the `actual_length` bytes that the device gave, whatever the status; for OUT, empty. Those of an
    /// isochronous transfer lie one after the other, without gaps where packets were short.
    pub data: Bytes,
    /// What became of an isochronous transfer's packets; empty for every other one.
    pub packets: Vec<IsoPacket>,
}

/// What names a transfer of one device: the endpoint, and the submitter's tag.
pub(super) type Key = (u8, u64);

/// Both directions of the control endpoint are one.
fn key(endpoint: u8, tag: u64) -> Key {
    (if endpoint & 0x0f == 0 { 0 } else { endpoint }, tag)
}

/// The transfers of one open device.
pub(super) struct Transfers {
    handle: Handle,
    shared: Arc<Shared>,
    canceller: Arc<Canceller>,
    /// Whether libusb splits long bulk transfers on this device's host controller.
    splits_bulk: bool,
}

/// The device's handle.
struct Handle(NonNull<ffi::libusb_device_handle>);

// SAFETY: libusb's handles may be used from any thread, by several at a time. What libusb asks for is that none is used
// after it was closed, which the idle table guarantees (see above).
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// What transfers that are in flight, and those who cancel them, hold on to.
pub(super) struct Shared {
    buffers: Buffers,
    table: Mutex<Table>,
    /// Told whenever the table has become emptier.
    settled: Condvar,
}

struct Table {
    endpoints: EndpointMap,
    /// Transfers that have ended and that nobody knows any longer, to be used again.
    spare: Vec<Arc<RawTransfer>>,
    /// Endpoints that refuse transfers because something about them is being changed.
    held: EndpointSet,
    /// Set for good when the device is given back.
    closed: bool,
    flights: HashMap<Key, Flight>,
    /// The serial of the last flight. A serial is never used again, a key is.
    last_serial: u64,
    /// How many completions are being delivered and how many cancellations are under way.
    busy: usize,
    /// How many wait for the table to become emptier. Telling nobody costs a system call, too.
    waiting: usize,
}

struct Flight {
    serial: u64,
    stage: Stage,
}

enum Stage {
    /// libusb is being asked to submit it. `cancel`: and to cancel it as soon as that is done.
    Submitting { cancel: bool },
    /// libusb has it. `cancelling`: and was, or is about to be, asked to cancel it.
    Flying { raw: Arc<RawTransfer>, cancelling: bool },
}

/// The memory of one libusb transfer, and of what it takes to run it.
struct RawTransfer {
    transfer: NonNull<ffi::libusb_transfer>,
    /// `Some` from just before the submit to the callback.
    flight: Mutex<Option<InFlight>>,
}

// SAFETY: libusb's transfers may be cancelled and freed on any thread; libusb locks what its threads share.
unsafe impl Send for RawTransfer {}
// SAFETY: as above.
unsafe impl Sync for RawTransfer {}

impl RawTransfer {
    /// With room for so many isochronous packets.
    fn new(packets: c_int) -> Option<Self> {
        // SAFETY: allocates; zero packets is what all types but isochronous ask for.
        let transfer = NonNull::new(unsafe { ffi::libusb_alloc_transfer(packets) })?;
        Some(Self { transfer, flight: Mutex::default() })
    }

    fn flight(&self) -> MutexGuard<'_, Option<InFlight>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RawTransfer {
    fn drop(&mut self) {
        // SAFETY: libusb allocated it. Nobody but holders of this value's `Arc` uses it, and while libusb itself does, its
        // `user_data` holds one.
        unsafe { ffi::libusb_free_transfer(self.transfer.as_ptr()) }
    }
}

/// What a transfer needs while libusb owns it.
struct InFlight {
    shared: Arc<Shared>,
    key: Key,
    endpoint: u8,
    buffer: Buffer,
    request: Request,
    /// A place in the submitter's channel, so that delivering can't fail and never waits.
    done: mpsc::OwnedPermit<Completion>,
}

/// The memory that libusb reads from or writes to.
enum Buffer {
    /// libusb writes to it, or may: control transfers, IN, and OUT that libusb splits. What is there to be read is its
    /// content, what is there to be written to its spare capacity.
    Own(BytesMut),
    /// libusb only reads it.
    Borrowed(Bytes),
}

impl Buffer {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        match self {
            Self::Own(bytes) => bytes.as_mut_ptr(),
            Self::Borrowed(bytes) => bytes.as_ptr().cast_mut(),
        }
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Whoever panicked with the lock held did so between two consistent states: no entry is changed in two steps.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels that transfer, and waits until the kernel has let go of it, which is before its callback has run.
    /// Nothing happens when it has ended meanwhile.
    pub(super) fn cancel_now(&self, key: Key, serial: u64) {
        let raw = {
            let mut table = self.table();
            let raw = match table.flights.get(&key) {
                Some(Flight { serial: found, stage: Stage::Flying { raw, .. } }) if *found == serial => raw.clone(),
                _ => return,
            };
            table.busy += 1;
            raw
        };
        // SAFETY: the memory is ours as long as `raw` is, and the handle that the transfer belongs to stays open while
        // `busy` counts us. The answer tells whether we were too late, which makes no difference: the callback comes
        // in either case.
        let _ = unsafe { ffi::libusb_cancel_transfer(raw.transfer.as_ptr()) };
        drop(raw);
        self.rest();
    }

    /// A transfer to be submitted, with room for so many isochronous packets.
    fn raw_transfer(&self, packets: c_int) -> Option<Arc<RawTransfer>> {
        let spare = if packets == 0 { self.table().spare.pop() } else { None };
        spare.or_else(|| RawTransfer::new(packets).map(Arc::new))
    }

    /// Keeps a transfer that has ended to be used again, unless somebody still knows it: whoever is about to find out that
    /// it is too late to cancel it must not cancel its successor.
    fn spare(&self, mut raw: Arc<RawTransfer>, packets: usize) {
        let mut table = self.table();
        if packets == 0 && table.spare.len() < MAX_SPARE && Arc::get_mut(&mut raw).is_some() {
            table.spare.push(raw);
        }
    }

    /// Ends what `busy` counted.
    fn rest(&self) {
        let mut table = self.table();
        table.busy -= 1;
        self.settled(table);
    }

    /// The table has become emptier.
    fn settled(&self, table: MutexGuard<'_, Table>) {
        if table.waiting > 0 {
            self.settled.notify_all();
        }
    }
}

impl Transfers {
    /// For a device with that handle.
    ///
    /// `splits_bulk`: whether libusb splits long bulk transfers, because the host controller has no scatter-gather.
    ///
    /// # Safety
    ///
    /// The handle must be an open one, and stay open until [`close`](Self::close) has returned true, or else for ever.
    pub(super) unsafe fn new(
        handle: NonNull<ffi::libusb_device_handle>,
        endpoints: EndpointMap,
        splits_bulk: bool,
        canceller: Arc<Canceller>,
    ) -> Self {
        let table = Table {
            endpoints,
            spare: Vec::new(),
            held: EndpointSet::default(),
            closed: false,
            flights: HashMap::new(),
            last_serial: 0,
            busy: 0,
            waiting: 0,
        };
        let shared = Arc::new(Shared { buffers: Buffers::new(), table: Mutex::new(table), settled: Condvar::new() });
        Self { handle: Handle(handle), shared, canceller, splits_bulk }
    }

    /// The type of an endpoint in the present configuration and alternate settings.
    pub(super) fn endpoint(&self, address: u8) -> Option<TransferType> {
        self.shared.table().endpoints.get(address).map(|endpoint| endpoint.transfer_type)
    }

    /// See [`OpenDevice::submit`](super::OpenDevice::submit).
    pub(super) fn submit(
        &self,
        transfer: Transfer,
        tag: u64,
        done: &mpsc::Sender<Completion>,
    ) -> Result<(), UrbStatus> {
        let key = key(transfer.endpoint, tag);
        let (serial, kind, max_packet) = {
            let mut table = self.shared.table();
            if table.closed {
                return Err(UrbStatus::Gone);
            }
            let Some(endpoint) = table.endpoints.get(transfer.endpoint) else { return Err(UrbStatus::NoEndpoint) };
            if table.held.contains(transfer.endpoint) {
                return Err(UrbStatus::NoEndpoint);
            }
            if table.flights.contains_key(&key) {
                return Err(UrbStatus::Invalid);
            }
            table.last_serial += 1;
            let serial = table.last_serial;
            table.flights.insert(key, Flight { serial, stage: Stage::Submitting { cancel: false } });
            (serial, endpoint.transfer_type, endpoint.max_packet)
        };
        let submitted = self.prepare(transfer, key, tag, kind, max_packet, done).and_then(fly);
        let mut table = self.shared.table();
        match submitted {
            Ok(raw) => {
                // Its callback may have run already, then there is nothing to note.
                let Some(flight) = table.flights.get_mut(&key).filter(|flight| flight.serial == serial) else {
                    return Ok(());
                };
                let cancel = matches!(flight.stage, Stage::Submitting { cancel: true });
                flight.stage = Stage::Flying { raw, cancelling: cancel };
                drop(table);
                if cancel {
                    self.canceller.cancel(self.shared.clone(), key, serial);
                }
                Ok(())
            }
            Err(status) => {
                table.flights.remove(&key);
                self.shared.settled(table);
                Err(status)
            }
        }
    }

    /// Everything that libusb needs to run a transfer.
    fn prepare(
        &self,
        transfer: Transfer,
        key: Key,
        tag: u64,
        kind: TransferType,
        max_packet: u16,
        done: &mpsc::Sender<Completion>,
    ) -> Result<Arc<RawTransfer>, UrbStatus> {
        let Transfer { endpoint, setup, data, flags, packets } = transfer;
        let asked = match &data {
            TransferData::Out(bytes) => bytes.len(),
            TransferData::In(len) => *len,
        };
        if asked > MAX_URB_LEN as usize {
            return Err(UrbStatus::NoMemory);
        }
        let is_isochronous = kind == TransferType::Isochronous;
        if packets.is_empty() == is_isochronous || packets.len() > usize::from(MAX_ISO_PACKETS) {
            return Err(UrbStatus::Invalid);
        }
        if is_isochronous && packets.iter().map(|length| u64::from(*length)).sum::<u64>() != asked as u64 {
            return Err(UrbStatus::Invalid);
        }
        let is_in = matches!(data, TransferData::In(_));
        let buffers = &self.shared.buffers;
        let (asked, is_in, buffer) = match (kind, setup) {
            (TransferType::Control, Some(setup)) => control_buffer(setup, data, buffers)?,
            (TransferType::Bulk | TransferType::Interrupt | TransferType::Isochronous, None)
                if is_in == (endpoint & 0x80 != 0) =>
            {
                let buffer = match data {
                    TransferData::In(len) => Buffer::Own(buffers.take(len)),
                    // After an error in the middle of a split transfer libusb moves what came after it, even for OUT.
                    TransferData::Out(bytes) if self.splits_bulk && !is_isochronous && bytes.len() > SPLIT_LEN => {
                        let mut own = buffers.take(bytes.len());
                        own.extend_from_slice(&bytes);
                        Buffer::Own(own)
                    }
                    TransferData::Out(bytes) => Buffer::Borrowed(bytes),
                };
                (asked, is_in, buffer)
            }
            _ => return Err(UrbStatus::Invalid),
        };
        let request = Request {
            kind,
            is_in,
            asked,
            max_packet,
            short_not_ok: is_in && flags.contains(UrbFlags::SHORT_NOT_OK),
            zero_packet: !is_in && kind == TransferType::Bulk && flags.contains(UrbFlags::ZERO_PACKET),
            tag,
        };
        let done = done.clone().try_reserve_owned().map_err(|_| UrbStatus::NoMemory)?;
        // At most MAX_ISO_PACKETS, see above.
        let packet_count = packets.len() as c_int;
        let raw = self.shared.raw_transfer(packet_count).ok_or(UrbStatus::NoMemory)?;
        let setup_len = if kind == TransferType::Control { SETUP_LEN } else { 0 };
        let length = c_int::try_from(setup_len + asked).map_err(|_| UrbStatus::NoMemory)?;
        let shared = self.shared.clone();
        let mut flight = InFlight { shared, key, endpoint, buffer, request, done };
        let buffer = flight.buffer.as_mut_ptr();
        *raw.flight() = Some(flight);
        let transfer = raw.transfer.as_ptr();
        // SAFETY: we alone have this transfer, which libusb has allocated and zeroed or has done with. `buffer` stays where it
        // is, with room for `length` bytes, as long as the flight owns it. A `Borrowed` buffer is only read: libusb writes to the buffers of
        // IN transfers, of control IN transfers, and of OUT transfers that it has split, all of which are `Own`.
        unsafe {
            (*transfer).dev_handle = self.handle.0.as_ptr();
            (*transfer).endpoint = endpoint;
            (*transfer).transfer_type = match kind {
                TransferType::Control => ffi::constants::LIBUSB_TRANSFER_TYPE_CONTROL,
                TransferType::Isochronous => ffi::constants::LIBUSB_TRANSFER_TYPE_ISOCHRONOUS,
                TransferType::Bulk => ffi::constants::LIBUSB_TRANSFER_TYPE_BULK,
                TransferType::Interrupt => ffi::constants::LIBUSB_TRANSFER_TYPE_INTERRUPT,
            };
            // Who submitted it decides how long to wait.
            (*transfer).timeout = 0 as c_uint;
            (*transfer).flags = if request.zero_packet { ffi::constants::LIBUSB_TRANSFER_ADD_ZERO_PACKET } else { 0 };
            (*transfer).buffer = buffer;
            (*transfer).length = length;
            (*transfer).callback = on_done;
            (*transfer).num_iso_packets = packet_count;
            // `RawTransfer::new` has made room for as many descriptors behind the transfer.
            let descriptors = (&raw mut (*transfer).iso_packet_desc).cast::<ffi::libusb_iso_packet_descriptor>();
            for (index, packet) in packets.iter().enumerate() {
                (*descriptors.add(index)).length = *packet;
            }
        }
        Ok(raw)
    }

    /// See [`OpenDevice::cancel`](super::OpenDevice::cancel).
    pub(super) fn cancel(&self, endpoint: u8, tag: u64) {
        let key = key(endpoint, tag);
        let serial = {
            let mut table = self.shared.table();
            let Some(flight) = table.flights.get_mut(&key) else { return };
            match &mut flight.stage {
                Stage::Submitting { cancel } => {
                    *cancel = true;
                    return;
                }
                Stage::Flying { cancelling: true, .. } => return,
                Stage::Flying { cancelling, .. } => *cancelling = true,
            }
            flight.serial
        };
        self.canceller.cancel(self.shared.clone(), key, serial);
    }

    /// Refuses new transfers on these endpoints, cancels those in flight and waits until libusb has ended them. False:
    /// some were still there after `patience`.
    ///
    /// Blocks. The endpoints stay held until [`release`](Self::release).
    pub(super) fn hold(&self, endpoints: EndpointSet, patience: Duration) -> bool {
        self.shared.table().held = endpoints;
        self.settle(endpoints, patience, |table| table.flights.keys().any(|key| endpoints.contains(key.0)))
    }

    /// Accepts transfers again, on these endpoints from now on.
    pub(super) fn release(&self, endpoints: EndpointMap) {
        let mut table = self.shared.table();
        table.endpoints = endpoints;
        table.held = EndpointSet::default();
    }

    /// Refuses new transfers for good, cancels those in flight and waits until their completions are delivered. False:
    /// some were still there after `patience`, and the handle must never be closed.
    ///
    /// Blocks.
    pub(super) fn close(&self, patience: Duration) -> bool {
        self.shared.table().closed = true;
        self.settle(EndpointSet::all(), patience, |table| table.busy > 0 || !table.flights.is_empty())
    }

    /// How many transfers are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.shared.table().flights.len()
    }

    /// Cancels what is in flight on these endpoints, then waits as long as `pending` says.
    fn settle(&self, endpoints: EndpointSet, patience: Duration, pending: impl Fn(&Table) -> bool) -> bool {
        let mut flying = Vec::new();
        for (key, flight) in self.shared.table().flights.iter_mut().filter(|(key, _)| endpoints.contains(key.0)) {
            match &mut flight.stage {
                Stage::Submitting { cancel } => *cancel = true,
                Stage::Flying { cancelling: true, .. } => {}
                Stage::Flying { cancelling, .. } => {
                    *cancelling = true;
                    flying.push((flight.serial, *key));
                }
            }
        }
        // The last one first: cancelling the first one would let the device begin with the second.
        flying.sort_unstable_by(|a, b| b.cmp(a));
        for (serial, key) in flying {
            self.shared.cancel_now(key, serial);
        }
        let mut table = self.shared.table();
        table.waiting += 1;
        let (mut table, waited) = self
            .shared
            .settled
            .wait_timeout_while(table, patience, |table| pending(table))
            .unwrap_or_else(PoisonError::into_inner);
        table.waiting -= 1;
        !waited.timed_out()
    }
}

impl fmt::Debug for Transfers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transfers").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// The buffer of a control transfer, with how much its data stage moves and whether that is IN.
fn control_buffer(
    setup: [u8; SETUP_LEN],
    data: TransferData,
    buffers: &Buffers,
) -> Result<(usize, bool, Buffer), UrbStatus> {
    // What these do to a device, the kernel has to know of.
    if special_request(&setup).is_some() {
        return Err(UrbStatus::Invalid);
    }
    let is_in = setup[0] & 0x80 != 0;
    // The device goes by the setup packet, so the buffer has to.
    let len = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
    let mut buffer = buffers.take(SETUP_LEN + len);
    buffer.extend_from_slice(&setup);
    match data {
        TransferData::Out(bytes) if bytes.len() == len && (!is_in || len == 0) => buffer.extend_from_slice(&bytes),
        TransferData::In(asked) if asked >= len && (is_in || len == 0) => {}
        _ => return Err(UrbStatus::Invalid),
    }
    Ok((len, is_in, Buffer::Own(buffer)))
}

/// Hands a prepared transfer to libusb.
fn fly(raw: Arc<RawTransfer>) -> Result<Arc<RawTransfer>, UrbStatus> {
    let user_data = Arc::into_raw(raw.clone());
    // SAFETY: `prepare` has filled everything else in, for a handle that is open as long as this flight is in the table.
    // On success libusb and its callback own the share in `user_data`; on failure there will be no callback, and it is ours
    // again.
    unsafe {
        (*raw.transfer.as_ptr()).user_data = user_data.cast_mut().cast();
        match ffi::libusb_submit_transfer(raw.transfer.as_ptr()) {
            0 => Ok(raw),
            code => {
                let status = status::refused(code, std::io::Error::last_os_error().raw_os_error());
                drop(Arc::from_raw(user_data));
                // Its place among the completions is free again.
                *raw.flight() = None;
                Err(status)
            }
        }
    }
}

/// libusb calls this once for each transfer that it accepted, on the event thread.
extern "system" fn on_done(transfer: *mut ffi::libusb_transfer) {
    // There is no one on libusb's side who could take a panic, and no sane state to go on from.
    if catch_unwind(AssertUnwindSafe(|| deliver(transfer))).is_err() {
        abort();
    }
}

fn deliver(transfer: *mut ffi::libusb_transfer) {
    // SAFETY: libusb has ended the transfer and left its results in it. `user_data` is the share that `fly` gave away, and
    // this is the only time that it is taken back.
    let (raw, status, actual, packets) = unsafe {
        let raw = Arc::from_raw((*transfer).user_data.cast::<RawTransfer>().cast_const());
        (raw, (*transfer).status, (*transfer).actual_length, packets(transfer))
    };
    // Filled before the submit, and emptied here alone.
    let Some(InFlight { shared, key, endpoint, mut buffer, request, done }) = raw.flight().take() else { return };
    let flight = {
        let mut table = shared.table();
        table.busy += 1;
        table.flights.remove(&key)
    };
    // The table's share of the transfer: now nobody knows it but who is about to cancel it.
    drop(flight);
    shared.spare(raw, packets.len());
    let (status, actual, packets) = if request.kind == TransferType::Isochronous {
        let actual = match &mut buffer {
            Buffer::Own(bytes) => pack(bytes.spare_capacity_mut(), &packets),
            Buffer::Borrowed(_) => packets.iter().map(|packet| packet.actual as usize).sum(),
        };
        let packets: Vec<_> = packets.iter().map(Packet::outcome).collect();
        (status::iso_status(status, &packets), actual, packets)
    } else {
        // What a host controller claims to have moved never exceeds what there was room for.
        let actual = usize::try_from(actual).unwrap_or(0).min(request.asked);
        (status::urb_status(status, &request, actual), actual, Vec::new())
    };
    let data = match buffer {
        // SAFETY: libusb has written `actual` bytes behind the content; all types but isochronous from there on, and those
        // of isochronous packets were moved there by `pack`.
        Buffer::Own(bytes) if request.is_in => unsafe { received(bytes, actual, &shared.buffers) },
        Buffer::Own(_) | Buffer::Borrowed(_) => Bytes::new(),
    };
    let actual_length = u32::try_from(actual).unwrap_or(u32::MAX);
    done.send(Completion { endpoint, tag: request.tag, status, actual_length, data, packets });
    shared.rest();
}

/// One packet of an isochronous transfer that has ended, as libusb describes it.
struct Packet {
    length: u32,
    /// Never more than `length`, whatever the host controller claims.
    actual: u32,
    status: c_int,
}

impl Packet {
    fn outcome(&self) -> IsoPacket {
        IsoPacket { actual_length: self.actual, status: status::packet_status(self.status) }
    }
}

/// The packets of a transfer; none unless it is an isochronous one.
///
/// # Safety
///
/// The transfer was allocated with as many packets as it says, and libusb has ended it.
unsafe fn packets(transfer: *const ffi::libusb_transfer) -> Vec<Packet> {
    // SAFETY: the descriptors stand behind the transfer, in the same allocation; libusb does not touch them any longer.
    let descriptors = unsafe {
        let count = usize::try_from((*transfer).num_iso_packets).unwrap_or(0);
        std::slice::from_raw_parts((&raw const (*transfer).iso_packet_desc).cast(), count)
    };
    let packet = |descriptor: &ffi::libusb_iso_packet_descriptor| Packet {
        length: descriptor.length,
        actual: descriptor.actual_length.min(descriptor.length),
        status: descriptor.status,
    };
    descriptors.iter().map(packet).collect()
}

/// Moves what came in the packets together, to the front of the buffer; says how much that is.
fn pack<T: Copy>(buffer: &mut [T], packets: &[Packet]) -> usize {
    let (mut from, mut to) = (0, 0);
    for packet in packets {
        let actual = packet.actual as usize;
        if from != to {
            buffer.copy_within(from..from + actual, to);
        }
        from += packet.length as usize;
        to += actual;
    }
    to
}

/// The data of an IN transfer, out of its buffer.
///
/// # Safety
///
/// The first `actual` bytes of the buffer's spare capacity have been written.
unsafe fn received(mut buffer: BytesMut, actual: usize, buffers: &Buffers) -> Bytes {
    let start = buffer.len();
    // SAFETY: the caller's promise.
    unsafe { buffer.set_len(start + actual) };
    if actual <= SMALL_DATA && buffer.capacity() > 2 * SMALL_DATA {
        let mut small = buffers.take(actual);
        small.extend_from_slice(&buffer[start..]);
        return small.freeze();
    }
    buffer.freeze().split_off(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_packets_leave_no_gaps() {
        let packet = |length, actual| Packet { length, actual, status: 0 };
        let mut buffer = *b"abcdEFGHijklMNOP";
        assert_eq!(pack(&mut buffer, &[packet(4, 4), packet(4, 2), packet(4, 0), packet(4, 3)]), 9);
        assert_eq!(buffer[..9], *b"abcdEFMNO");
        assert_eq!(pack(&mut buffer, &[]), 0);
    }
}
