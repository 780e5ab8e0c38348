//! The USB/IP messages that the local kernel's `vhci_hcd` speaks: Documentation/usb/usbip_protocol.rst.
//!
//! Every message starts with a header of 48 bytes, big endian. The kernel is trusted to speak the protocol,
//! but not blindly: a length beyond what a URB may have ends the session.

use bytes::{BufMut as _, Bytes};
use p2pusb_protocol::{IsoPacket, MAX_ISO_PACKETS, MAX_URB_LEN, UrbStatus};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::iso::{PACKET_LEN, Packets};
use crate::buffers::Buffers;

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

const HEADER_LEN: usize = 48;

/// -ECONNRESET: the answer to an unlink that cancelled something, Documentation/usb/usbip_protocol.rst.
pub(super) const CANCELLED: i32 = -nix::libc::ECONNRESET;

/// include/linux/usb.h
const URB_SHORT_NOT_OK: u32 = 0x0001;
const URB_ZERO_PACKET: u32 = 0x0040;

/// What the kernel asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Run a URB.
    Submit(Submit),
    /// Cancel the URB whose number is `unlink`.
    Unlink {
        /// The number of this command, echoed in the answer.
        seqnum: u32,
        /// The number of the submit to cancel.
        unlink: u32,
    },
}

/// A URB as the kernel submits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submit {
    /// The kernel's number for it.
    pub(super) seqnum: u32,
    /// The endpoint's address, with the direction in bit 7; 0x00 for every control URB.
    pub(super) endpoint: u8,
    /// Data flows from the device.
    pub(super) input: bool,
    /// A short IN transfer is an error.
    pub(super) short_not_ok: bool,
    /// An OUT transfer ends with a short packet.
    pub(super) zero_packet: bool,
    /// How many bytes the buffer has.
    pub(super) length: u32,
    /// The frame in which an isochronous URB was to begin.
    pub(super) start_frame: u32,
    /// How often the endpoint is polled; 0 where it is not: frames from one interrupt or isochronous transfer to the next,
    /// or microframes at high speed and above.
    pub(super) interval: u32,
    /// The SETUP packet; meaningful on endpoint 0 only.
    pub(super) setup: [u8; 8],
    /// The data of an OUT transfer.
    pub(super) data: Bytes,
    /// The packets of an isochronous URB; none otherwise.
    pub(super) packets: Packets,
}

/// The kernel said something that it should not say.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsbIpError {
    /// The socket ended or failed.
    #[error("the kernel closed the port: {0}")]
    Io(#[from] std::io::Error),
    /// Not a message that we know.
    #[error("the kernel sent an unknown USB/IP command {0:#x}")]
    UnknownCommand(u32),
    /// Too long.
    #[error("the kernel submitted a URB of {0} bytes; the most is {MAX_URB_LEN}")]
    TooLong(u32),
    /// Too many packets.
    #[error("the kernel submitted a URB of {0} packets; the most is {MAX_ISO_PACKETS}")]
    TooManyPackets(u32),
}

fn word(header: &[u8; HEADER_LEN], index: usize) -> u32 {
    let at = index * 4;
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Reads the next command.
pub(super) async fn read_command(
    from: &mut (impl AsyncRead + Unpin),
    buffers: &Buffers,
) -> Result<Command, UsbIpError> {
    let mut header = [0; HEADER_LEN];
    from.read_exact(&mut header).await?;
    let seqnum = word(&header, 1);
    match word(&header, 0) {
        CMD_UNLINK => Ok(Command::Unlink { seqnum, unlink: word(&header, 5) }),
        CMD_SUBMIT => {
            let input = word(&header, 3) != 0;
            let number = (word(&header, 4) & 0x0f) as u8;
            let flags = word(&header, 5);
            let length = word(&header, 6);
            if length > MAX_URB_LEN {
                return Err(UsbIpError::TooLong(length));
            }
            // 0 or -1 (0xffffffff) for everything that is not isochronous, as Documentation/ says.
            let packets = match word(&header, 8) {
                u32::MAX => 0,
                packets if packets > MAX_ISO_PACKETS.into() => return Err(UsbIpError::TooManyPackets(packets)),
                packets => packets,
            };
            let mut setup = [0; 8];
            setup.copy_from_slice(&header[40..48]);
            let data = read_bytes(from, if input { 0 } else { length as usize }, buffers).await?;
            let packets = Packets::new(read_bytes(from, packets as usize * PACKET_LEN, buffers).await?);
            let endpoint = if number == 0 { 0 } else { number | if input { 0x80 } else { 0 } };
            Ok(Command::Submit(Submit {
                seqnum,
                endpoint,
                input,
                short_not_ok: flags & URB_SHORT_NOT_OK != 0,
                zero_packet: flags & URB_ZERO_PACKET != 0,
                length,
                start_frame: word(&header, 7),
                interval: word(&header, 9),
                setup,
                data,
                packets,
            }))
        }
        other => Err(UsbIpError::UnknownCommand(other)),
    }
}

async fn read_bytes(from: &mut (impl AsyncRead + Unpin), length: usize, buffers: &Buffers) -> std::io::Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    // read_buf fills spare capacity: no zeroing of a buffer that is overwritten at once.
    let mut data = buffers.take(length).limit(length);
    while data.has_remaining_mut() {
        if from.read_buf(&mut data).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(data.into_inner().freeze())
}

/// An answer to the kernel: a header, then data, then packet descriptors.
#[derive(Debug)]
pub(super) struct Reply {
    /// The header.
    pub(super) header: [u8; HEADER_LEN],
    /// IN data, exactly as long as the header says.
    pub(super) data: Bytes,
    /// Packet descriptors.
    pub(super) iso_packets: Bytes,
}

impl Reply {
    /// The number of the command that it answers.
    pub(super) fn seqnum(&self) -> u32 {
        word(&self.header, 1)
    }

    /// Makes it the answer to another command.
    pub(super) fn renumber(&mut self, seqnum: u32) {
        self.header[4..8].copy_from_slice(&seqnum.to_be_bytes());
    }

    /// Whether it answers an unlink.
    pub(super) fn is_unlink(&self) -> bool {
        word(&self.header, 0) == RET_UNLINK
    }

    /// The status of the URB as a whole.
    pub(super) fn errno(&self) -> i32 {
        word(&self.header, 5) as i32
    }
}

fn header(command: u32, seqnum: u32, words: [u32; 5]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[0..4].copy_from_slice(&command.to_be_bytes());
    header[4..8].copy_from_slice(&seqnum.to_be_bytes());
    for (slot, value) in header[20..40].chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
    header
}

/// A finished URB. `data` is what was read (IN); its length has been clamped to the URB's by the caller.
pub(super) fn ret_submit(seqnum: u32, errno: i32, actual_length: u32, data: Bytes) -> Reply {
    Reply {
        header: header(RET_SUBMIT, seqnum, [errno as u32, actual_length, 0, 0, 0]),
        data,
        iso_packets: Bytes::new(),
    }
}

/// A finished isochronous URB: what its packets carried is in `data` (IN) without gaps. The kernel wants as many packets
/// back as it sent, and has them add up to what the header says.
pub(super) fn ret_submit_iso(
    seqnum: u32,
    errno: i32,
    start_frame: u32,
    packets: &Packets,
    outcomes: &[IsoPacket],
    data: Bytes,
) -> Reply {
    let actual_length = outcomes.iter().map(|packet| packet.actual_length).sum();
    let (iso_packets, failed) = packets.answer(outcomes.iter().copied());
    let words = [errno as u32, actual_length, start_frame, packets.count().into(), failed];
    Reply { header: header(RET_SUBMIT, seqnum, words), data, iso_packets }
}

/// A URB that did not run.
pub(super) fn ret_submit_failed(seqnum: u32, status: UrbStatus, packets: &Packets) -> Reply {
    if packets.is_empty() {
        return ret_submit(seqnum, status.errno(), 0, Bytes::new());
    }
    let outcomes = vec![IsoPacket { actual_length: 0, status }; packets.count().into()];
    ret_submit_iso(seqnum, status.errno(), 0, packets, &outcomes, Bytes::new())
}

/// The answer to an unlink: -ECONNRESET when the URB was cancelled (and nothing else will be said of it),
/// 0 when its completion has been sent already.
pub(super) fn ret_unlink(seqnum: u32, errno: i32) -> Reply {
    Reply {
        header: header(RET_UNLINK, seqnum, [errno as u32, 0, 0, 0, 0]),
        data: Bytes::new(),
        iso_packets: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bulk CMD_SUBMIT of usbip_protocol.rst's layout: 31 bytes OUT on endpoint 2.
    fn cmd_submit(direction: u32, endpoint: u32, flags: u32, length: u32, packets: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in [CMD_SUBMIT, 0x0d05, 0x0001_000f, direction, endpoint, flags, length, 0, packets, 0] {
            bytes.extend(value.to_be_bytes());
        }
        bytes.extend([0x80, 6, 0, 1, 0, 0, 0x40, 0]);
        bytes
    }

    async fn parse(bytes: &[u8]) -> Result<Command, UsbIpError> {
        read_command(&mut &*bytes, &Buffers::new()).await
    }

    #[tokio::test]
    async fn an_out_submit_carries_its_data() {
        let mut bytes = cmd_submit(0, 2, URB_ZERO_PACKET, 31, 0);
        bytes.extend(0..31);
        let Command::Submit(urb) = parse(&bytes).await.unwrap() else { panic!() };
        assert_eq!((urb.seqnum, urb.endpoint, urb.input, urb.length), (0x0d05, 0x02, false, 31));
        assert!(urb.zero_packet && !urb.short_not_ok);
        assert_eq!(urb.data, (0..31).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn an_in_submit_carries_a_length_only() {
        let Command::Submit(urb) = parse(&cmd_submit(1, 0, URB_SHORT_NOT_OK, 64, u32::MAX)).await.unwrap() else {
            panic!()
        };
        assert_eq!((urb.endpoint, urb.input, urb.length, urb.data.len()), (0, true, 64, 0));
        assert_eq!(urb.setup, [0x80, 6, 0, 1, 0, 0, 0x40, 0]);
        let mut bytes = cmd_submit(1, 1, 0, 512, 0);
        let Command::Submit(urb) = parse(&bytes).await.unwrap() else { panic!() };
        assert_eq!((urb.endpoint, urb.interval), (0x81, 0));
        bytes[39] = 4;
        let Command::Submit(urb) = parse(&bytes).await.unwrap() else { panic!() };
        assert_eq!(urb.interval, 4);
    }

    #[tokio::test]
    async fn an_isochronous_submit_stays_in_step_and_its_refusal_returns_each_packet() {
        let mut bytes = cmd_submit(0, 1, 0, 6, 2);
        bytes.extend(*b"abcdef");
        for (offset, length) in [(0u32, 3u32), (3, 3)] {
            for value in [offset, length, 7, 7] {
                bytes.extend(value.to_be_bytes());
            }
        }
        bytes.extend(cmd_submit(1, 1, 0, 8, 0));
        let mut from = &*bytes;
        let Command::Submit(urb) = read_command(&mut from, &Buffers::new()).await.unwrap() else { panic!() };
        assert!(matches!(read_command(&mut from, &Buffers::new()).await, Ok(Command::Submit(_))));
        let reply = ret_submit_failed(urb.seqnum, UrbStatus::Invalid, &urb.packets);
        assert_eq!(word(&reply.header, 8), 2);
        assert_eq!(&reply.iso_packets[16..28], [0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0]);
        assert_eq!(reply.iso_packets[28..32], (-22i32).to_be_bytes());
    }

    #[tokio::test]
    async fn lengths_are_checked_before_anything_is_read() {
        assert!(matches!(parse(&cmd_submit(0, 1, 0, MAX_URB_LEN + 1, 0)).await, Err(UsbIpError::TooLong(_))));
        assert!(matches!(parse(&cmd_submit(0, 1, 0, 8, 1025)).await, Err(UsbIpError::TooManyPackets(1025))));
        assert!(matches!(parse(&[0; HEADER_LEN]).await, Err(UsbIpError::UnknownCommand(0))));
        assert!(matches!(parse(&cmd_submit(0, 1, 0, 8, 0)).await, Err(UsbIpError::Io(_))));
    }

    #[test]
    fn answers_have_the_layout_of_the_kernel() {
        let reply = ret_submit(5, -32, 3, Bytes::from_static(b"abc"));
        assert_eq!(reply.header[0..8], [0, 0, 0, 3, 0, 0, 0, 5]);
        assert_eq!(reply.header[20..28], [0xff, 0xff, 0xff, 0xe0, 0, 0, 0, 3]);
        let reply = ret_unlink(9, -104);
        assert_eq!(reply.header[0..8], [0, 0, 0, 4, 0, 0, 0, 9]);
        assert_eq!(reply.header[20..24], (-104i32).to_be_bytes());
    }
}
