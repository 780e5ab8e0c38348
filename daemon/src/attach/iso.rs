//! The packets of an isochronous URB, between the kernel's form and the protocol's.
//!
//! The kernel describes each by its place in the URB's buffer, where drivers may leave gaps; the protocol has them one after
//! the other. What the kernel is told of a packet is what it said itself, and in between what the peer says, clamped.

use bytes::{BufMut as _, Bytes, BytesMut};
use p2pusb_protocol::{IsoPacket, MAX_ISO_PACKETS, MAX_URB_LEN, UrbStatus};

/// One packet on the kernel's side: offset, length, actual length, status, each of four bytes, big endian
/// (struct usbip_iso_packet_descriptor in usbip_common.h).
pub(super) const PACKET_LEN: usize = 16;

/// The packets of a URB as the kernel has sent them; none unless the URB is isochronous.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Packets(Bytes);

impl Packets {
    /// Takes them as they came: at most [`MAX_ISO_PACKETS`], and nothing but whole ones.
    pub(super) fn new(descriptors: Bytes) -> Self {
        debug_assert!(descriptors.len() <= usize::from(MAX_ISO_PACKETS) * PACKET_LEN);
        Self(descriptors)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn count(&self) -> u16 {
        // Whoever made this has seen to the limit.
        (self.0.len() / PACKET_LEN) as u16
    }

    /// Offset and length of each.
    fn places(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        let (descriptors, _) = self.0.as_chunks::<PACKET_LEN>();
        descriptors.iter().map(|[a, b, c, d, e, f, g, h, ..]| {
            (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
        })
    }

    /// The length of each.
    pub(super) fn lengths(&self) -> impl ExactSizeIterator<Item = u32> {
        self.places().map(|(_, length)| length)
    }

    /// Whether the others are as many, as long, and at the same places.
    pub(super) fn same_places(&self, others: &Self) -> bool {
        self.places().eq(others.places())
    }

    /// How much they carry together; `None` where one of them is not within a buffer of `buffer` bytes, or where they lie
    /// over each other and carry more than a URB may.
    pub(super) fn length(&self, buffer: u32) -> Option<u32> {
        let within = |(offset, length): (u32, u32)| offset.checked_add(length).is_some_and(|end| end <= buffer);
        if !self.places().all(within) {
            return None;
        }
        self.lengths().try_fold(0_u32, u32::checked_add).filter(|length| *length <= MAX_URB_LEN)
    }

    /// The data of an OUT transfer without gaps; [`length`](Self::length) has found all packets within it.
    pub(super) fn gather(&self, data: Bytes) -> Bytes {
        let mut next = 0;
        let contiguous = self.places().all(|(offset, length)| {
            let follows = offset == next;
            next = offset + length;
            follows
        });
        if contiguous {
            return data.slice(..next as usize);
        }
        let mut gathered = BytesMut::with_capacity(self.lengths().map(|length| length as usize).sum());
        for (offset, length) in self.places() {
            gathered.extend_from_slice(&data[offset as usize..][..length as usize]);
        }
        gathered.freeze()
    }

    /// The descriptors that go back to the kernel with what became of each, and how many failed. There are as many
    /// outcomes as packets.
    pub(super) fn answer(&self, outcomes: impl Iterator<Item = IsoPacket>) -> (Bytes, u32) {
        let mut failed = 0;
        let mut descriptors = BytesMut::with_capacity(self.0.len());
        for ((offset, length), outcome) in self.places().zip(outcomes) {
            failed += u32::from(outcome.status != UrbStatus::Ok);
            descriptors.put_u32(offset);
            descriptors.put_u32(length);
            descriptors.put_u32(outcome.actual_length);
            descriptors.put_i32(outcome.status.errno());
        }
        (descriptors.freeze(), failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(places: &[(u32, u32)]) -> Packets {
        let mut descriptors = BytesMut::new();
        for (offset, length) in places {
            for value in [*offset, *length, 7, 7] {
                descriptors.put_u32(value);
            }
        }
        Packets::new(descriptors.freeze())
    }

    #[test]
    fn packets_carry_what_their_lengths_say() {
        assert_eq!(packets(&[(0, 3), (8, 2)]).length(10), Some(5));
        assert_eq!(packets(&[(0, 3), (8, 3)]).length(10), None);
        assert_eq!(packets(&[(u32::MAX, 2)]).length(10), None);
        assert_eq!(packets(&[(0, 10), (0, 10)]).length(10), Some(20));
        assert_eq!(packets(&[(0, MAX_URB_LEN), (0, 1)]).length(MAX_URB_LEN), None);
        assert_eq!(packets(&[]).length(0), Some(0));
    }

    #[test]
    fn out_data_is_gathered() {
        let data = Bytes::from_static(b"abcdefghij");
        assert_eq!(packets(&[(0, 3), (3, 2)]).gather(data.clone()), b"abcde"[..]);
        assert_eq!(packets(&[(2, 3), (8, 2)]).gather(data.clone()), b"cdeij"[..]);
        assert_eq!(packets(&[]).gather(data), b""[..]);
    }

    #[test]
    fn each_packet_is_answered_where_it_was() {
        let outcome = |actual_length, status| IsoPacket { actual_length, status };
        let outcomes = [outcome(3, UrbStatus::Ok), outcome(0, UrbStatus::Stalled)];
        let (descriptors, failed) = packets(&[(0, 3), (8, 2)]).answer(outcomes.into_iter());
        assert_eq!(failed, 1);
        let words: Vec<i32> = descriptors.as_chunks().0.iter().copied().map(i32::from_be_bytes).collect();
        assert_eq!(words, [0, 3, 3, 0, 8, 2, 0, -32]);
    }
}
