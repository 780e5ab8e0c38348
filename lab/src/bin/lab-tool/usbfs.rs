//! USB devices as a program drives them, through their nodes below /dev/bus/usb (linux/usbdevice_fs.h).

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

/// `struct usbdevfs_urb`, for anything but isochronous transfers.
#[repr(C)]
struct RawUrb {
    kind: u8,
    endpoint: u8,
    status: libc::c_int,
    flags: libc::c_uint,
    buffer: *mut libc::c_void,
    buffer_length: libc::c_int,
    actual_length: libc::c_int,
    start_frame: libc::c_int,
    number_of_packets: libc::c_int,
    error_count: libc::c_int,
    signal: libc::c_uint,
    context: *mut libc::c_void,
}

/// `struct usbdevfs_ioctl`.
#[repr(C)]
struct RawIoctl {
    interface: libc::c_int,
    request: libc::c_int,
    data: *mut libc::c_void,
}

/// `struct usbdevfs_ctrltransfer`.
#[repr(C)]
struct RawControl {
    request_type: u8,
    request: u8,
    value: u16,
    index: u16,
    length: u16,
    timeout_ms: u32,
    data: *mut libc::c_void,
}

/// How long a control request may take: what the kernel's own drivers give it (USB_CTRL_GET_TIMEOUT).
const CONTROL_TIMEOUT_MS: u32 = 5000;

/// `USBDEVFS_URB_TYPE_BULK`.
const BULK: u8 = 3;

const READ: u32 = 2;
const WRITE: u32 = 1;

/// An ioctl's number, as the kernel's `_IOC` builds it.
pub(crate) const fn request(direction: u32, kind: u8, number: u8, size: usize) -> u32 {
    (direction << 30) | ((size as u32) << 16) | ((kind as u32) << 8) | number as u32
}

const CONTROL: u32 = request(READ | WRITE, b'U', 0, size_of::<RawControl>());
const SUBMIT: u32 = request(READ, b'U', 10, size_of::<RawUrb>());
const DISCARD: u32 = request(0, b'U', 11, 0);
const REAP_NOW: u32 = request(WRITE, b'U', 13, size_of::<*mut RawUrb>());
const CLAIM: u32 = request(READ, b'U', 15, size_of::<libc::c_uint>());
const TO_DRIVER: u32 = request(READ | WRITE, b'U', 18, size_of::<RawIoctl>());
const DISCONNECT: u32 = request(0, b'U', 22, 0);

/// A device's node.
pub(crate) struct Device {
    // Closed before the URBs' memory is freed: until then the kernel may write to it.
    file: File,
    flying: HashMap<u64, Box<Flying>>,
}

/// A URB that the kernel has.
struct Flying {
    raw: RawUrb,
    buffer: Vec<u8>,
}

/// A URB that the kernel has given back.
pub(crate) struct Reaped {
    pub(crate) number: u64,
    /// 0, or a negative errno.
    pub(crate) status: i32,
    pub(crate) actual_length: i32,
    /// All of it, whatever the actual length.
    pub(crate) buffer: Vec<u8>,
}

impl Device {
    /// Opens the device at a bus path (1-2.3).
    pub(crate) fn open(bus_path: &str) -> io::Result<Self> {
        let number = |file: &str| -> io::Result<u32> {
            let text = fs::read_to_string(format!("/sys/bus/usb/devices/{bus_path}/{file}"))?;
            text.trim().parse().map_err(io::Error::other)
        };
        let node = format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?);
        let file = OpenOptions::new().read(true).write(true).open(node)?;
        Ok(Self { file, flying: HashMap::new() })
    }

    /// Hands a request to the driver of an interface; `data` is what the request's number says that it is.
    pub(crate) fn ask_driver(&self, interface: u8, request: u32, data: &mut [u8]) -> io::Result<()> {
        if data.len() < (request >> 16 & 0x3fff) as usize {
            return Err(io::Error::other("the data of a driver's request are too short"));
        }
        self.to_driver(interface, request, data.as_mut_ptr().cast())
    }

    /// Takes an interface from its driver and claims it.
    pub(crate) fn take(&self, interface: u8) -> io::Result<()> {
        match self.to_driver(interface, DISCONNECT, ptr::null_mut()) {
            Err(error) if error.raw_os_error() != Some(libc::ENODATA) => return Err(error),
            _ => {}
        }
        let mut number = libc::c_uint::from(interface);
        self.ioctl(CLAIM, (&raw mut number).cast())
    }

    fn to_driver(&self, interface: u8, request: u32, data: *mut libc::c_void) -> io::Result<()> {
        let mut ioctl = RawIoctl { interface: interface.into(), request: request.cast_signed(), data };
        self.ioctl(TO_DRIVER, (&raw mut ioctl).cast())
    }

    /// GET_STATUS of the device, which changes nothing (USB 2.0, section 9.4.5).
    pub(crate) fn status(&self) -> io::Result<[u8; 2]> {
        let mut status = [0; 2];
        let mut control = RawControl {
            request_type: 0x80,
            request: 0,
            value: 0,
            index: 0,
            length: 2,
            timeout_ms: CONTROL_TIMEOUT_MS,
            data: status.as_mut_ptr().cast(),
        };
        self.ioctl(CONTROL, (&raw mut control).cast())?;
        Ok(status)
    }

    /// Submits a bulk URB under a number that no other has now.
    pub(crate) fn submit(&mut self, number: u64, endpoint: u8, buffer: Vec<u8>) -> io::Result<()> {
        let mut urb = Box::new(Flying {
            raw: RawUrb {
                kind: BULK,
                endpoint,
                status: 0,
                flags: 0,
                buffer: ptr::null_mut(),
                buffer_length: libc::c_int::try_from(buffer.len()).map_err(io::Error::other)?,
                actual_length: 0,
                start_frame: 0,
                number_of_packets: 0,
                error_count: 0,
                signal: 0,
                context: ptr::null_mut(),
            },
            buffer,
        });
        urb.raw.buffer = urb.buffer.as_mut_ptr().cast();
        self.ioctl(SUBMIT, (&raw mut urb.raw).cast())?;
        match self.flying.insert(number, urb) {
            None => Ok(()),
            Some(_) => Err(io::Error::other(format!("URB {number} was submitted twice"))),
        }
    }

    /// Cancels a URB and waits for its end. `EINVAL`: it has ended before.
    pub(crate) fn discard(&mut self, number: u64) -> io::Result<()> {
        let urb = self.flying.get_mut(&number).ok_or_else(|| io::Error::other("there is no such URB"))?;
        let raw = (&raw mut urb.raw).cast();
        self.ioctl(DISCARD, raw)
    }

    /// The next URB that has ended, `None` while there is none.
    pub(crate) fn reap(&mut self) -> io::Result<Option<Reaped>> {
        let mut raw: *mut RawUrb = ptr::null_mut();
        match self.ioctl(REAP_NOW, (&raw mut raw).cast()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
        let found = self.flying.iter().find(|(_, urb)| ptr::eq(&raw const urb.raw, raw)).map(|(number, _)| *number);
        let number = found.ok_or_else(|| io::Error::other("a URB came that is not out"))?;
        let urb = self.flying.remove(&number).ok_or_else(|| io::Error::other("a URB vanished"))?;
        let Flying { raw: RawUrb { status, actual_length, .. }, buffer } = *urb;
        Ok(Some(Reaped { number, status, actual_length, buffer }))
    }

    /// Waits until a URB has ended, for at most so long; tells whether one has.
    pub(crate) fn wait(&self, most: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(most.as_secs()).map_err(io::Error::other)?,
            tv_nsec: most.subsec_nanos().into(),
        };
        // SAFETY: one pollfd and a timespec that outlive the call; no signal mask.
        let ready = unsafe { libc::ppoll(&raw mut poll, 1, &raw const timeout, ptr::null()) };
        if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(ready > 0) }
    }

    /// `data` has to be what the request wants: a number, a structure of this file or the bytes of `ask_driver`, alive
    /// during the call; and a URB's, with its buffer, until it is reaped or the node is closed.
    fn ioctl(&self, request: u32, data: *mut libc::c_void) -> io::Result<()> {
        // SAFETY: the descriptor is open; for `data` see above: its callers are all in this file.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), libc::c_ulong::from(request), data) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
