//! A USB device whose every answer is up to this program: the kernel's raw-gadget (linux/usb/raw_gadget.h).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use crate::usbfs::request;

/// The most data that an answer can have; what a device has to say of itself is far less.
const DATA: usize = 1024;

/// `UDC_NAME_LENGTH_MAX`.
const NAME: usize = 128;

/// `USB_SPEED_HIGH`.
const HIGH_SPEED: u8 = 3;

/// `USB_RAW_EVENT_CONTROL`.
const CONTROL_EVENT: u32 = 2;

/// `USB_RAW_IO_FLAGS_ZERO`: an empty packet ends an answer that is shorter than what was asked for.
const ZERO: u16 = 1;

/// `struct usb_raw_init`.
#[repr(C)]
struct RawInit {
    driver: [u8; NAME],
    device: [u8; NAME],
    speed: u8,
}

/// `struct usb_raw_event`, with room for a setup packet.
#[repr(C)]
struct RawEvent {
    kind: u32,
    length: u32,
    data: [u8; 8],
}

/// `struct usb_raw_ep_io`.
#[repr(C)]
struct RawTransfer {
    endpoint: u16,
    flags: u16,
    length: u32,
    data: [u8; DATA],
}

/// `struct usb_endpoint_descriptor`, of which the last two bytes are for audio.
type RawEndpoint = [u8; 9];

const READ: u32 = 2;
const WRITE: u32 = 1;

/// The size of an event or a transfer without its data, which is what counts in an ioctl's number.
const HEADER: usize = 8;

const INIT: u32 = request(WRITE, b'U', 0, size_of::<RawInit>());
const RUN: u32 = request(0, b'U', 1, 0);
const FETCH: u32 = request(READ, b'U', 2, HEADER);
const ANSWER: u32 = request(WRITE, b'U', 3, HEADER);
const RECEIVE: u32 = request(READ | WRITE, b'U', 4, HEADER);
const ENABLE: u32 = request(WRITE, b'U', 5, size_of::<RawEndpoint>());
const CONFIGURE: u32 = request(0, b'U', 9, 0);
const STALL: u32 = request(0, b'U', 12, 0);

/// A device in a socket; it is pulled out when this is dropped.
pub(crate) struct Gadget {
    file: File,
}

impl Gadget {
    /// Plugs a high speed device into a socket of the kernel's virtual cable (`dummy_udc.0`).
    pub(crate) fn plug(socket: &str) -> io::Result<Self> {
        let gadget = Self { file: OpenOptions::new().read(true).write(true).open("/dev/raw-gadget")? };
        let (driver, _) = socket.split_once('.').ok_or_else(|| io::Error::other("the socket has no number"))?;
        let mut init = RawInit { driver: name(driver)?, device: name(socket)?, speed: HIGH_SPEED };
        gadget.ioctl(INIT, (&raw mut init).cast())?;
        gadget.ioctl(RUN, std::ptr::null_mut())?;
        Ok(gadget)
    }

    /// Waits for the next control request: its setup packet.
    pub(crate) fn control(&self) -> io::Result<[u8; 8]> {
        loop {
            let mut event = RawEvent { kind: 0, length: 8, data: [0; 8] };
            self.ioctl(FETCH, (&raw mut event).cast())?;
            if event.kind == CONTROL_EVENT {
                return Ok(event.data);
            }
        }
    }

    /// Answers a request that wants data, with no more than it wants.
    pub(crate) fn answer(&self, data: &[u8], wanted: u16) -> io::Result<()> {
        let length = data.len().min(wanted.into()).min(DATA);
        let flags = if length < wanted.into() { ZERO } else { 0 };
        let mut transfer = RawTransfer { endpoint: 0, flags, length: length as u32, data: [0; DATA] };
        transfer.data[..length].copy_from_slice(&data[..length]);
        self.ioctl(ANSWER, (&raw mut transfer).cast())
    }

    /// Acknowledges a request that sends data, or has none.
    pub(crate) fn acknowledge(&self, sent: u16) -> io::Result<()> {
        let length = u32::from(sent).min(DATA as u32);
        let mut transfer = RawTransfer { endpoint: 0, flags: 0, length, data: [0; DATA] };
        self.ioctl(RECEIVE, (&raw mut transfer).cast())
    }

    /// The device knows no such request.
    pub(crate) fn stall(&self) -> io::Result<()> {
        self.ioctl(STALL, std::ptr::null_mut())
    }

    /// Switches an endpoint on, which then has neither data nor room for any.
    pub(crate) fn enable(&self, descriptor: [u8; 7]) -> io::Result<()> {
        let mut raw: RawEndpoint = [0; 9];
        raw[..7].copy_from_slice(&descriptor);
        self.ioctl(ENABLE, (&raw mut raw).cast())
    }

    /// The device has its configuration.
    pub(crate) fn configured(&self) -> io::Result<()> {
        self.ioctl(CONFIGURE, std::ptr::null_mut())
    }

    /// `data` has to be the structure of this file that the request is for, with a length that is no longer than its
    /// data, alive during the call.
    fn ioctl(&self, request: u32, data: *mut libc::c_void) -> io::Result<()> {
        // SAFETY: the descriptor is open; for `data` see above: its callers are all in this file.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), libc::c_ulong::from(request), data) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// A name as C has it.
fn name(text: &str) -> io::Result<[u8; NAME]> {
    let mut name = [0; NAME];
    // A zero has to follow.
    let place = name[..NAME - 1].get_mut(..text.len()).ok_or_else(|| io::Error::other("the name is too long"))?;
    place.copy_from_slice(text.as_bytes());
    Ok(name)
}
