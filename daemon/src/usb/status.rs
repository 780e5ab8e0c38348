//! How libusb's results read as a URB's.

use std::os::raw::c_int;

use p2pusb_protocol::{IsoPacket, UrbStatus};
use rusb::ffi::constants as libusb;

use super::TransferType;

/// What a transfer was to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) kind: TransferType,
    pub(super) is_in: bool,
    /// How many bytes its data stage may move.
    pub(super) asked: usize,
    /// The endpoint's greatest packet, in bytes.
    pub(super) max_packet: u16,
    /// A short IN is an error.
    pub(super) short_not_ok: bool,
    /// An OUT that fills its last packet is followed by an empty one.
    pub(super) zero_packet: bool,
    /// The submitter's name for it.
    pub(super) tag: u64,
}

/// The status of a transfer that libusb has ended with `status` after `actual` bytes.
pub(super) fn urb_status(status: c_int, request: &Request, actual: usize) -> UrbStatus {
    match status {
        libusb::LIBUSB_TRANSFER_COMPLETED => done(request, actual),
        // libusb calls everything cancelled that it was asked to cancel in time, even where the device was faster.
        libusb::LIBUSB_TRANSFER_CANCELLED if was_done(request, actual) => done(request, actual),
        libusb::LIBUSB_TRANSFER_CANCELLED => UrbStatus::Cancelled,
        libusb::LIBUSB_TRANSFER_STALL => UrbStatus::Stalled,
        libusb::LIBUSB_TRANSFER_NO_DEVICE => UrbStatus::Gone,
        libusb::LIBUSB_TRANSFER_OVERFLOW => UrbStatus::Overflow,
        libusb::LIBUSB_TRANSFER_TIMED_OUT => UrbStatus::TimedOut,
        _ => UrbStatus::Failed,
    }
}

/// The status of an isochronous transfer that libusb has ended with `status`. What failed on the bus is said of each packet;
/// the transfer as a whole is done when all of them had their turn.
pub(super) fn iso_status(status: c_int, packets: &[IsoPacket]) -> UrbStatus {
    match status {
        libusb::LIBUSB_TRANSFER_COMPLETED => UrbStatus::Ok,
        libusb::LIBUSB_TRANSFER_CANCELLED if packets.iter().all(|packet| packet.status == UrbStatus::Ok) => {
            UrbStatus::Ok
        }
        libusb::LIBUSB_TRANSFER_CANCELLED => UrbStatus::Cancelled,
        libusb::LIBUSB_TRANSFER_NO_DEVICE => UrbStatus::Gone,
        libusb::LIBUSB_TRANSFER_TIMED_OUT => UrbStatus::TimedOut,
        _ => UrbStatus::Failed,
    }
}

/// The status of one isochronous packet.
pub(super) fn packet_status(status: c_int) -> UrbStatus {
    match status {
        libusb::LIBUSB_TRANSFER_COMPLETED => UrbStatus::Ok,
        libusb::LIBUSB_TRANSFER_STALL => UrbStatus::Stalled,
        libusb::LIBUSB_TRANSFER_NO_DEVICE => UrbStatus::Gone,
        libusb::LIBUSB_TRANSFER_OVERFLOW => UrbStatus::Overflow,
        libusb::LIBUSB_TRANSFER_CANCELLED => UrbStatus::Cancelled,
        _ => UrbStatus::Failed,
    }
}

/// The status of a transfer that the device has ended by itself, without an error.
///
/// libusb has a flag for SHORT_NOT_OK, too, but it reports a short transfer with the same status as a bus error. So it
/// is not told.
fn done(request: &Request, actual: usize) -> UrbStatus {
    if request.short_not_ok && actual < request.asked { UrbStatus::ShortNotOk } else { UrbStatus::Ok }
}

/// Whether a transfer that was being cancelled shows that the device had ended it before: it moved all its bytes, or its
/// last packet was a short one. For control transfers nothing shows that the status stage was over.
fn was_done(request: &Request, actual: usize) -> bool {
    if request.kind == TransferType::Control || actual == 0 {
        return false;
    }
    let complete = actual == request.asked && !request.zero_packet;
    let short = request.is_in && request.max_packet > 0 && !actual.is_multiple_of(usize::from(request.max_packet));
    complete || short
}

/// Why libusb refused to submit a transfer. `errno`: what the kernel had said, for libusb keeps only a part of it.
pub(super) fn refused(code: c_int, errno: Option<i32>) -> UrbStatus {
    match (code, errno) {
        (libusb::LIBUSB_ERROR_NO_DEVICE, _) => UrbStatus::Gone,
        (libusb::LIBUSB_ERROR_NO_MEM, _) | (libusb::LIBUSB_ERROR_IO, Some(libc::ENOMEM)) => UrbStatus::NoMemory,
        (libusb::LIBUSB_ERROR_NOT_FOUND, _) | (libusb::LIBUSB_ERROR_IO, Some(libc::ENOENT)) => UrbStatus::NoEndpoint,
        (libusb::LIBUSB_ERROR_INVALID_PARAM, _) | (libusb::LIBUSB_ERROR_IO, Some(libc::EINVAL)) => UrbStatus::Invalid,
        _ => UrbStatus::Failed,
    }
}

/// Why one of libusb's blocking calls failed. `errno`: as above.
pub(super) fn failed(error: rusb::Error, errno: Option<i32>) -> UrbStatus {
    match (error, errno) {
        (rusb::Error::NoDevice, _) => UrbStatus::Gone,
        (rusb::Error::NoMem, _) => UrbStatus::NoMemory,
        // There is no such configuration, alternate setting or endpoint. The device itself would have stalled this.
        (rusb::Error::NotFound | rusb::Error::InvalidParam, _) => UrbStatus::Stalled,
        (rusb::Error::Other, Some(libc::EPIPE)) => UrbStatus::Stalled,
        (rusb::Error::Other, Some(libc::ETIMEDOUT)) => UrbStatus::TimedOut,
        _ => UrbStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk_in() -> Request {
        Request {
            kind: TransferType::Bulk,
            is_in: true,
            asked: 1024,
            max_packet: 512,
            short_not_ok: false,
            zero_packet: false,
            tag: 1,
        }
    }

    #[test]
    fn every_libusb_status_has_its_own() {
        let cases = [
            (libusb::LIBUSB_TRANSFER_COMPLETED, UrbStatus::Ok),
            (libusb::LIBUSB_TRANSFER_ERROR, UrbStatus::Failed),
            (libusb::LIBUSB_TRANSFER_TIMED_OUT, UrbStatus::TimedOut),
            (libusb::LIBUSB_TRANSFER_CANCELLED, UrbStatus::Cancelled),
            (libusb::LIBUSB_TRANSFER_STALL, UrbStatus::Stalled),
            (libusb::LIBUSB_TRANSFER_NO_DEVICE, UrbStatus::Gone),
            (libusb::LIBUSB_TRANSFER_OVERFLOW, UrbStatus::Overflow),
            (99, UrbStatus::Failed),
        ];
        for (status, expected) in cases {
            assert_eq!(urb_status(status, &bulk_in(), 512), expected, "{status}");
        }
    }

    #[test]
    fn a_short_in_is_an_error_only_when_asked_to_be() {
        let strict = Request { short_not_ok: true, ..bulk_in() };
        assert_eq!(urb_status(libusb::LIBUSB_TRANSFER_COMPLETED, &bulk_in(), 13), UrbStatus::Ok);
        assert_eq!(urb_status(libusb::LIBUSB_TRANSFER_COMPLETED, &strict, 13), UrbStatus::ShortNotOk);
        assert_eq!(urb_status(libusb::LIBUSB_TRANSFER_COMPLETED, &strict, 1024), UrbStatus::Ok);
        assert_eq!(urb_status(libusb::LIBUSB_TRANSFER_ERROR, &strict, 13), UrbStatus::Failed);
    }

    #[test]
    fn a_cancellation_that_came_too_late_loses_no_data() {
        let cancelled = |request: Request, actual| urb_status(libusb::LIBUSB_TRANSFER_CANCELLED, &request, actual);
        assert_eq!(cancelled(bulk_in(), 0), UrbStatus::Cancelled);
        assert_eq!(cancelled(bulk_in(), 512), UrbStatus::Cancelled);
        assert_eq!(cancelled(bulk_in(), 525), UrbStatus::Ok);
        assert_eq!(cancelled(bulk_in(), 1024), UrbStatus::Ok);
        assert_eq!(cancelled(Request { short_not_ok: true, ..bulk_in() }, 525), UrbStatus::ShortNotOk);
        let out = Request { is_in: false, ..bulk_in() };
        assert_eq!(cancelled(out, 525), UrbStatus::Cancelled);
        assert_eq!(cancelled(out, 1024), UrbStatus::Ok);
        assert_eq!(cancelled(Request { zero_packet: true, ..out }, 1024), UrbStatus::Cancelled);
        let control = Request { kind: TransferType::Control, ..bulk_in() };
        assert_eq!(cancelled(control, 1024), UrbStatus::Cancelled);
    }

    #[test]
    fn an_isochronous_transfer_is_done_when_all_its_packets_are() {
        let packet = |status| IsoPacket { actual_length: 8, status };
        let (good, bad) = (packet(UrbStatus::Ok), packet(UrbStatus::Failed));
        assert_eq!(iso_status(libusb::LIBUSB_TRANSFER_COMPLETED, &[good, bad]), UrbStatus::Ok);
        assert_eq!(iso_status(libusb::LIBUSB_TRANSFER_CANCELLED, &[good, good]), UrbStatus::Ok);
        assert_eq!(iso_status(libusb::LIBUSB_TRANSFER_CANCELLED, &[good, bad]), UrbStatus::Cancelled);
        assert_eq!(iso_status(libusb::LIBUSB_TRANSFER_NO_DEVICE, &[good]), UrbStatus::Gone);
        assert_eq!(iso_status(libusb::LIBUSB_TRANSFER_ERROR, &[good]), UrbStatus::Failed);
        assert_eq!(packet_status(libusb::LIBUSB_TRANSFER_ERROR), UrbStatus::Failed);
        assert_eq!(packet_status(libusb::LIBUSB_TRANSFER_OVERFLOW), UrbStatus::Overflow);
    }

    #[test]
    fn the_kernels_reason_is_kept_where_libusb_drops_it() {
        assert_eq!(refused(libusb::LIBUSB_ERROR_NO_DEVICE, None), UrbStatus::Gone);
        assert_eq!(refused(libusb::LIBUSB_ERROR_NO_MEM, None), UrbStatus::NoMemory);
        assert_eq!(refused(libusb::LIBUSB_ERROR_IO, Some(libc::ENOMEM)), UrbStatus::NoMemory);
        assert_eq!(refused(libusb::LIBUSB_ERROR_NOT_FOUND, None), UrbStatus::NoEndpoint);
        assert_eq!(refused(libusb::LIBUSB_ERROR_IO, Some(libc::EINVAL)), UrbStatus::Invalid);
        assert_eq!(refused(libusb::LIBUSB_ERROR_BUSY, None), UrbStatus::Failed);
        assert_eq!(failed(rusb::Error::NoDevice, None), UrbStatus::Gone);
        assert_eq!(failed(rusb::Error::NotFound, None), UrbStatus::Stalled);
        assert_eq!(failed(rusb::Error::Other, Some(libc::EPIPE)), UrbStatus::Stalled);
        assert_eq!(failed(rusb::Error::Other, Some(libc::ETIMEDOUT)), UrbStatus::TimedOut);
        assert_eq!(failed(rusb::Error::Other, None), UrbStatus::Failed);
    }
}
