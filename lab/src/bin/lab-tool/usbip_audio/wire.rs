//! The device's side of USB/IP, as Documentation/usb/usbip_protocol.rst describes it: 48 bytes of header, big endian, then
//! data, then the descriptors of isochronous packets.

use std::io::{self, Read};

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

const HEADER: usize = 48;

/// Bytes of a packet descriptor: offset, length, actual length, status.
const PACKET: usize = 16;

/// The kernel's own limits (`USBIP_MAX_ISO_PACKETS`), and one for the data that no driver of sound comes near.
const MAX_PACKETS: u32 = 1024;
const MAX_LENGTH: u32 = 1 << 20;

/// What the kernel asks of the device.
#[derive(Debug)]
pub(super) enum Command {
    /// Run a URB.
    Submit(Urb),
    /// Cancel the URB with the number `victim`.
    Unlink { number: u32, victim: u32 },
}

/// A URB.
#[derive(Debug)]
pub(super) struct Urb {
    pub(super) number: u32,
    pub(super) input: bool,
    pub(super) endpoint: u32,
    pub(super) setup: [u8; 8],
    /// The data of an OUT transfer.
    pub(super) data: Vec<u8>,
    /// Empty unless it is isochronous.
    pub(super) packets: Vec<Packet>,
}

/// A packet of an isochronous URB: where it is in the URB's buffer, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) actual: u32,
    pub(super) status: i32,
}

/// Reads the next command; `None` when the port was detached.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Command>> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let words = words(&header);
    let [command, number, _device, direction, endpoint] = [words[0], words[1], words[2], words[3], words[4]];
    match command {
        CMD_UNLINK => Ok(Some(Command::Unlink { number, victim: words[5] })),
        CMD_SUBMIT => {
            let input = direction != 0;
            let length = at_most(words[6], MAX_LENGTH)?;
            // -1 is said of a URB that is not isochronous.
            let packets = if words[8] == u32::MAX { 0 } else { at_most(words[8], MAX_PACKETS)? };
            let mut setup = [0; 8];
            setup.copy_from_slice(&header[40..]);
            let mut data = vec![0; if input { 0 } else { length as usize }];
            from.read_exact(&mut data)?;
            let mut table = vec![0; packets as usize * PACKET];
            from.read_exact(&mut table)?;
            let packets = table.as_chunks::<PACKET>().0.iter().map(packet).collect();
            Ok(Some(Command::Submit(Urb { number, input, endpoint, setup, data, packets })))
        }
        other => Err(io::Error::other(format!("the kernel sent an unknown command {other:#x}"))),
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().copied().map(u32::from_be_bytes).collect()
}

fn at_most(value: u32, most: u32) -> io::Result<u32> {
    if value > most { Err(io::Error::other(format!("the kernel sent {value}, the most is {most}"))) } else { Ok(value) }
}

fn packet(entry: &[u8; PACKET]) -> Packet {
    let words = words(entry);
    Packet { offset: words[0], length: words[1], actual: 0, status: 0 }
}

/// The end of a URB that is not isochronous; `data` is what was read from the device.
pub(super) fn ret_submit(urb: &Urb, status: i32, actual: u32, data: &[u8]) -> Vec<u8> {
    let mut reply = header(RET_SUBMIT, urb.number, status, [actual, 0, u32::MAX, 0]);
    reply.extend_from_slice(data);
    reply
}

/// The end of an isochronous URB; `data` has what was read, packet after packet without gaps.
pub(super) fn ret_submit_iso(urb: &Urb, start_frame: u32, data: &[u8]) -> Vec<u8> {
    let actual = urb.packets.iter().map(|packet| packet.actual).sum();
    let failed = urb.packets.iter().filter(|packet| packet.status != 0).count() as u32;
    let mut reply = header(RET_SUBMIT, urb.number, 0, [actual, start_frame, urb.packets.len() as u32, failed]);
    reply.extend_from_slice(data);
    for packet in &urb.packets {
        for word in [packet.offset, packet.length, packet.actual] {
            reply.extend_from_slice(&word.to_be_bytes());
        }
        reply.extend_from_slice(&packet.status.to_be_bytes());
    }
    reply
}

/// The answer to an unlink: -ECONNRESET when it cancelled the URB, 0 when that was over.
pub(super) fn ret_unlink(number: u32, cancelled: bool) -> Vec<u8> {
    header(RET_UNLINK, number, if cancelled { -libc::ECONNRESET } else { 0 }, [0; 4])
}

fn header(command: u32, number: u32, status: i32, rest: [u32; 4]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    for word in [command, number, 0, 0, 0] {
        header.extend_from_slice(&word.to_be_bytes());
    }
    header.extend_from_slice(&status.to_be_bytes());
    for word in rest {
        header.extend_from_slice(&word.to_be_bytes());
    }
    header.resize(HEADER, 0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isochronous_urb_goes_in_and_out() {
        let mut bytes = Vec::new();
        for word in [CMD_SUBMIT, 7, 0, 1, 2, 0, 12, 0, 2, 1, 0, 0] {
            bytes.extend_from_slice(&u32::to_be_bytes(word));
        }
        for word in [0, 6, 0, 0, 6, 6, 0, 0] {
            bytes.extend_from_slice(&u32::to_be_bytes(word));
        }
        let Some(Command::Submit(mut urb)) = read(&mut &*bytes).expect("a command") else { panic!("no submit") };
        assert_eq!((urb.number, urb.input, urb.endpoint), (7, true, 2));
        assert_eq!(urb.packets.iter().map(|packet| packet.offset).collect::<Vec<_>>(), [0, 6]);
        (urb.packets[0].actual, urb.packets[1].actual) = (2, 4);
        let reply = ret_submit_iso(&urb, 99, b"abcdef");
        assert_eq!(reply.len(), HEADER + 6 + 2 * PACKET);
        assert_eq!(words(&reply[..40]), [RET_SUBMIT, 7, 0, 0, 0, 0, 6, 99, 2, 0]);
        assert_eq!(reply[HEADER..HEADER + 6], *b"abcdef");
        assert_eq!(words(&reply[HEADER + 6..]), [0, 6, 2, 0, 6, 6, 4, 0]);
    }

    #[test]
    fn a_detached_port_is_an_end_and_no_error() {
        assert!(read(&mut &[][..]).expect("an end").is_none());
        assert!(read(&mut &[0; HEADER][..]).is_err());
    }
}
