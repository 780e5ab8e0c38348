//! The packets of an isochronous URB.
//!
//! They stand in front of the payload's data, as a table of fixed entries: how long each packet is in a
//! [`Submit`](crate::Submit), what became of each in a [`Complete`](crate::Complete). The data behind it has the packets one
//! after the other without gaps, whatever gaps the importer's driver has between them.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::{
    error::{FieldError, ProtocolError},
    frame::Kind,
    limits::MAX_ISO_PACKETS,
    urb::UrbStatus,
};

/// Bytes of one entry of a submit's table: the length, u32 little endian.
const SUBMIT_ENTRY: usize = 4;
/// Bytes of one entry of a completion's table: the actual length, u32 little endian, and the status, u8.
const COMPLETE_ENTRY: usize = 5;

/// What became of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsoPacket {
    /// Bytes that were transferred.
    pub actual_length: u32,
    /// How it went. A packet that failed does not end the URB.
    pub status: UrbStatus,
}

/// Bytes that the table of a submit with so many packets takes up.
pub(crate) const fn submit_table_len(packets: u16) -> u32 {
    packets as u32 * SUBMIT_ENTRY as u32
}

/// Bytes that the table of a completion with so many packets takes up.
pub const fn complete_table_len(packets: u16) -> u32 {
    packets as u32 * COMPLETE_ENTRY as u32
}

/// Checks the number of packets in a header.
pub(crate) const fn validate_packets(packets: u16) -> Result<(), FieldError> {
    if packets > MAX_ISO_PACKETS {
        return Err(FieldError::TooManyPackets(packets));
    }
    Ok(())
}

/// The table of a submit. There are at most [`MAX_ISO_PACKETS`]; the caller has checked that.
pub fn encode_lengths(lengths: &[u32]) -> Bytes {
    let mut table = BytesMut::with_capacity(lengths.len() * SUBMIT_ENTRY);
    lengths.iter().for_each(|length| table.put_u32_le(*length));
    table.freeze()
}

/// The lengths in a submit's table, which is taken off the front of the payload.
///
/// # Errors
///
/// [`FieldError::Packets`], as a [`ProtocolError`], where the lengths do not add up to the URB's.
pub fn decode_lengths(packets: u16, urb_length: u32, payload: &mut Bytes) -> Result<Vec<u32>, ProtocolError> {
    let table = take_table(Kind::Submit, submit_table_len(packets), payload)?;
    let lengths: Vec<u32> = table.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect();
    if lengths.iter().map(|length| u64::from(*length)).sum::<u64>() != u64::from(urb_length) {
        return Err(Kind::Submit.invalid(FieldError::Packets));
    }
    Ok(lengths)
}

/// The table of a completion. There are at most [`MAX_ISO_PACKETS`]; the caller has checked that.
pub fn encode_packets(packets: &[IsoPacket]) -> Bytes {
    let mut table = BytesMut::with_capacity(packets.len() * COMPLETE_ENTRY);
    for packet in packets {
        table.put_u32_le(packet.actual_length);
        table.put_u8(packet.status.number());
    }
    table.freeze()
}

/// The packets in a completion's table, which is taken off the front of the payload, of a URB that was submitted with
/// packets of these `lengths`.
///
/// # Errors
///
/// [`FieldError::Packets`], as a [`ProtocolError`], where there are more or fewer than were submitted, one is longer than it
/// was submitted, or they do not add up to the URB's `actual_length`.
pub fn decode_packets(
    packets: u16,
    actual_length: u32,
    lengths: impl ExactSizeIterator<Item = u32>,
    payload: &mut Bytes,
) -> Result<Vec<IsoPacket>, ProtocolError> {
    let wrong = || Kind::Complete.invalid(FieldError::Packets);
    if lengths.len() != usize::from(packets) {
        return Err(wrong());
    }
    let table = take_table(Kind::Complete, complete_table_len(packets), payload)?;
    let mut sum = 0_u64;
    let mut all = Vec::with_capacity(packets.into());
    for (&[a, b, c, d, status], submitted) in table.as_chunks().0.iter().zip(lengths) {
        let packet =
            IsoPacket { actual_length: u32::from_le_bytes([a, b, c, d]), status: UrbStatus::from_number(status) };
        if packet.actual_length > submitted {
            return Err(wrong());
        }
        sum += u64::from(packet.actual_length);
        all.push(packet);
    }
    if sum != u64::from(actual_length) {
        return Err(wrong());
    }
    Ok(all)
}

fn take_table(kind: Kind, len: u32, payload: &mut Bytes) -> Result<Bytes, ProtocolError> {
    if payload.len() < len as usize {
        return Err(kind.invalid(FieldError::Payload { expected: len, got: payload.len() as u32 }));
    }
    Ok(payload.split_to(len as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(actual_length: u32, status: UrbStatus) -> IsoPacket {
        IsoPacket { actual_length, status }
    }

    #[test]
    fn lengths_come_back_and_leave_the_data() {
        let mut payload = BytesMut::from(&encode_lengths(&[3, 0, 2])[..]);
        assert_eq!(payload.len(), submit_table_len(3) as usize);
        payload.extend_from_slice(b"abcde");
        let mut payload = payload.freeze();
        assert_eq!(decode_lengths(3, 5, &mut payload), Ok(vec![3, 0, 2]));
        assert_eq!(payload, b"abcde"[..]);
    }

    #[test]
    fn lengths_add_up_to_the_urbs() {
        for wrong in [0, 4, 6, u32::MAX] {
            let error = decode_lengths(2, wrong, &mut encode_lengths(&[3, 2])).unwrap_err();
            assert_eq!(error, Kind::Submit.invalid(FieldError::Packets));
        }
        // Nor does it help that a sum would wrap around.
        assert!(decode_lengths(2, 1, &mut encode_lengths(&[u32::MAX, 2])).is_err());
        assert!(decode_lengths(3, 5, &mut encode_lengths(&[3, 2])).is_err(), "a table that is cut off");
    }

    #[test]
    fn packets_come_back_and_leave_the_data() {
        let packets = [packet(3, UrbStatus::Ok), packet(0, UrbStatus::Failed), packet(1, UrbStatus::Overflow)];
        let mut payload = BytesMut::from(&encode_packets(&packets)[..]);
        assert_eq!(payload.len(), complete_table_len(3) as usize);
        payload.extend_from_slice(b"abcd");
        let mut payload = payload.freeze();
        assert_eq!(decode_packets(3, 4, [3, 3, 3].into_iter(), &mut payload), Ok(packets.to_vec()));
        assert_eq!(payload, b"abcd"[..]);
    }

    #[test]
    fn packets_are_those_that_were_submitted() {
        let table = encode_packets(&[packet(3, UrbStatus::Ok), packet(2, UrbStatus::Ok)]);
        let decode =
            |count, actual, lengths: &[u32]| decode_packets(count, actual, lengths.iter().copied(), &mut table.clone());
        assert!(decode(2, 5, &[3, 2]).is_ok());
        assert!(decode(2, 5, &[3, 2, 1]).is_err(), "fewer packets than submitted");
        assert!(decode(2, 5, &[3]).is_err(), "more packets than submitted");
        assert!(decode(1, 3, &[3, 2]).is_err());
        assert!(decode(2, 5, &[2, 3]).is_err(), "a packet that is longer than submitted");
        assert!(decode(2, 4, &[3, 2]).is_err(), "a sum that is not the URB's");
        assert!(decode(3, 5, &[3, 2, 2]).is_err(), "a table that is cut off");
    }
}
