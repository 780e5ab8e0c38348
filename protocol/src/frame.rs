//! Frames: what every stream consists of.
//!
//! A frame is a prefix of eight bytes, a header (a postcard message) and a payload (raw bytes). A reader
//! takes the prefix, checks it against the limits of the stream, and only then makes room for the rest.

use bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Size;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{FieldError, ProtocolError},
    limits::{MAX_CONTROL_HEADER, MAX_CONTROL_PAYLOAD, MAX_LANE_HEADER, MAX_LANE_PAYLOAD, MAX_PAIRING_HEADER},
};

/// Length of a frame's prefix, in bytes.
pub const PREFIX_LEN: usize = 8;

/// The fixed start of every frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Which message the header holds.
    pub kind: u16,
    /// Length of the header, in bytes.
    pub header_len: u16,
    /// Length of the payload behind the header, in bytes.
    pub payload_len: u32,
}

impl Prefix {
    /// The bytes on the wire: the three numbers in their order, little endian.
    pub const fn encode(&self) -> [u8; PREFIX_LEN] {
        let [k0, k1] = self.kind.to_le_bytes();
        let [h0, h1] = self.header_len.to_le_bytes();
        let [p0, p1, p2, p3] = self.payload_len.to_le_bytes();
        [k0, k1, h0, h1, p0, p1, p2, p3]
    }

    /// The prefix in these bytes. Every value is one; see [`Prefix::check`].
    pub const fn decode(bytes: [u8; PREFIX_LEN]) -> Self {
        let [k0, k1, h0, h1, p0, p1, p2, p3] = bytes;
        Self {
            kind: u16::from_le_bytes([k0, k1]),
            header_len: u16::from_le_bytes([h0, h1]),
            payload_len: u32::from_le_bytes([p0, p1, p2, p3]),
        }
    }

    /// Checks the announced lengths, to be done before anything is allocated. Frames of unknown kinds are
    /// bound by it too.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::HeaderTooLong`] and [`ProtocolError::PayloadTooLong`].
    pub const fn check(&self, limits: FrameLimits) -> Result<(), ProtocolError> {
        if self.header_len > limits.header {
            return Err(ProtocolError::HeaderTooLong { len: self.header_len, limit: limits.header });
        }
        if self.payload_len > limits.payload {
            return Err(ProtocolError::PayloadTooLong { len: self.payload_len, limit: limits.payload });
        }
        Ok(())
    }
}

/// How long the frames on one kind of stream may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Longest header, in bytes.
    pub header: u16,
    /// Longest payload, in bytes.
    pub payload: u32,
}

impl FrameLimits {
    /// The control stream.
    pub const CONTROL: Self = Self { header: MAX_CONTROL_HEADER, payload: MAX_CONTROL_PAYLOAD };

    /// A lane.
    pub const LANE: Self = Self { header: MAX_LANE_HEADER, payload: MAX_LANE_PAYLOAD };

    /// The first frame of a lane, which says what the rest is for. It has no payload.
    pub const LANE_OPEN: Self = Self { header: MAX_LANE_HEADER, payload: 0 };

    /// A pairing stream. No message there has a payload.
    pub const PAIRING: Self = Self { header: MAX_PAIRING_HEADER, payload: 0 };
}

/// The numbers of all messages, on all kinds of streams, so that none is used twice. A message that is
/// given up keeps its number here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    // Control stream: 0x00xx.
    Hello = 0x0001,
    DeviceOffered = 0x0002,
    DeviceWithdrawn = 0x0003,
    DevicesComplete = 0x0004,
    Attach = 0x0005,
    Attached = 0x0006,
    AttachRefused = 0x0007,
    Detach = 0x0008,
    Ended = 0x0009,
    Unlink = 0x000a,
    Resume = 0x000b,
    Resumed = 0x000c,
    Queue = 0x000d,
    Ending = 0x000e,
    Pin = 0x000f,
    Asking = 0x0010,
    // Pairing stream: 0x01xx.
    PairRequest = 0x0101,
    PairAccepted = 0x0102,
    PairRefused = 0x0103,
    PairProposal = 0x0104,
    PairChallenge = 0x0105,
    PairReveal = 0x0106,
    PairAgreed = 0x0107,
    // Lanes: 0x02xx.
    LaneOpen = 0x0201,
    Submit = 0x0202,
    Complete = 0x0203,
    Acknowledge = 0x0204,
}

impl Kind {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Hello,
        Self::DeviceOffered,
        Self::DeviceWithdrawn,
        Self::DevicesComplete,
        Self::Attach,
        Self::Attached,
        Self::AttachRefused,
        Self::Detach,
        Self::Ended,
        Self::Unlink,
        Self::Resume,
        Self::Resumed,
        Self::Queue,
        Self::Ending,
        Self::Pin,
        Self::Asking,
        Self::PairRequest,
        Self::PairAccepted,
        Self::PairRefused,
        Self::PairProposal,
        Self::PairChallenge,
        Self::PairReveal,
        Self::PairAgreed,
        Self::LaneOpen,
        Self::Submit,
        Self::Complete,
        Self::Acknowledge,
    ];

    /// The message with that number, `None` for one that a newer version may have added.
    pub(crate) fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }

    pub(crate) const fn number(self) -> u16 {
        self as u16
    }

    /// The name in errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::DeviceOffered => "device-offered",
            Self::DeviceWithdrawn => "device-withdrawn",
            Self::DevicesComplete => "devices-complete",
            Self::Attach => "attach",
            Self::Attached => "attached",
            Self::AttachRefused => "attach-refused",
            Self::Detach => "detach",
            Self::Ended => "ended",
            Self::Unlink => "unlink",
            Self::Resume => "resume",
            Self::Resumed => "resumed",
            Self::Queue => "queue",
            Self::Ending => "ending",
            Self::Pin => "pin",
            Self::Asking => "asking",
            Self::PairRequest => "pair-request",
            Self::PairAccepted => "pair-accepted",
            Self::PairRefused => "pair-refused",
            Self::PairProposal => "pair-proposal",
            Self::PairChallenge => "pair-challenge",
            Self::PairReveal => "pair-reveal",
            Self::PairAgreed => "pair-agreed",
            Self::LaneOpen => "lane-open",
            Self::Submit => "submit",
            Self::Complete => "complete",
            Self::Acknowledge => "acknowledge",
        }
    }

    /// Decodes a header of this kind. Bytes behind what this version knows are fields that a newer one
    /// has appended, and are ignored.
    pub(crate) fn read<H: DeserializeOwned>(self, header: &[u8]) -> Result<H, ProtocolError> {
        match postcard::take_from_bytes(header) {
            Ok((header, _appended)) => Ok(header),
            Err(source) => Err(ProtocolError::Malformed { message: self.name(), source }),
        }
    }

    /// The error for a header of this kind with a field that is not allowed.
    pub(crate) const fn invalid(self, source: FieldError) -> ProtocolError {
        ProtocolError::Invalid { message: self.name(), source }
    }

    /// The error for this kind on a stream where it has no place.
    pub(crate) const fn misplaced(self) -> ProtocolError {
        ProtocolError::WrongStream { kind: self.number() }
    }

    /// The prefix and the header of a frame.
    pub(crate) fn write<H: Serialize>(self, header: &H, payload_len: u32) -> Bytes {
        let mut frame = BytesMut::new();
        self.write_into(header, payload_len, &mut frame);
        frame.freeze()
    }

    /// As [`write`](Self::write), behind what `frame` holds already.
    pub(crate) fn write_into<H: Serialize>(self, header: &H, payload_len: u32, frame: &mut BytesMut) {
        // postcard fails where a buffer is too small, a list has no known length or a value is refused by
        // its own Serialize. The buffer has the size that postcard asked for and no message has the rest.
        let header_len = postcard::serialize_with_flavor(header, Size::default()).expect("a message has a known size");
        let prefix = Prefix {
            kind: self.number(),
            // Texts and lists are cut to their limits when they are serialised.
            header_len: u16::try_from(header_len).expect("a message fits into a header"),
            payload_len,
        };
        frame.reserve(PREFIX_LEN + header_len);
        frame.extend_from_slice(&prefix.encode());
        let start = frame.len();
        frame.resize(start + header_len, 0);
        postcard::to_slice(header, &mut frame[start..]).expect("a message fits into its own size");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_little_endian() {
        let prefix = Prefix { kind: 0x0102, header_len: 0x0304, payload_len: 0x0506_0708 };
        assert_eq!(prefix.encode(), [2, 1, 4, 3, 8, 7, 6, 5]);
        assert_eq!(Prefix::decode(prefix.encode()), prefix);
    }

    #[test]
    fn lengths_at_the_limit_pass_and_longer_ones_do_not() {
        let limits = FrameLimits { header: 10, payload: 20 };
        let prefix = |header_len, payload_len| Prefix { kind: 0xffff, header_len, payload_len };
        assert_eq!(prefix(10, 20).check(limits), Ok(()));
        assert_eq!(prefix(11, 20).check(limits), Err(ProtocolError::HeaderTooLong { len: 11, limit: 10 }));
        assert_eq!(prefix(10, 21).check(limits), Err(ProtocolError::PayloadTooLong { len: 21, limit: 20 }));
    }

    #[test]
    fn numbers_lead_back_to_their_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(*kind));
        }
        let numbers: Vec<u16> = Kind::ALL.iter().map(|kind| kind.number()).collect();
        let expected: Vec<u16> = (1..=16).chain(0x101..=0x107).chain(0x201..=0x204).collect();
        assert_eq!(numbers, expected);
    }
}
