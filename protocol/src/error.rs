//! What can be wrong with what a peer sent.

use thiserror::Error;

use crate::limits::{MAX_ISO_PACKETS, MAX_PIN, MAX_URB_LEN, MAX_URBS_PER_LANE, MIN_PIN};

/// A frame or message that the protocol does not allow. The receiver closes the connection with
/// [`CloseCode::ProtocolViolation`](crate::CloseCode::ProtocolViolation); there is nothing to recover,
/// because both ends know the rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The prefix announces a longer header than this kind of stream allows.
    #[error("a header of {len} bytes, {limit} are allowed")]
    HeaderTooLong {
        /// Announced length, in bytes.
        len: u16,
        /// Longest header allowed, in bytes.
        limit: u16,
    },
    /// The prefix announces a longer payload than this kind of stream allows.
    #[error("a payload of {len} bytes, {limit} are allowed")]
    PayloadTooLong {
        /// Announced length, in bytes.
        len: u32,
        /// Longest payload allowed, in bytes.
        limit: u32,
    },
    /// A message that exists, on a kind of stream where it has no place.
    #[error("a frame of kind {kind:#06x} has no place on this stream")]
    WrongStream {
        /// The kind in the frame's prefix.
        kind: u16,
    },
    /// The header is too short, is not what its kind says, holds a list beyond its limit, or an IP
    /// address that is none.
    #[error("a malformed {message} message")]
    Malformed {
        /// Name of the message.
        message: &'static str,
        /// What the decoder found.
        source: postcard::Error,
    },
    /// The header could be read, and a field holds a value that is not allowed.
    #[error("an invalid {message} message")]
    Invalid {
        /// Name of the message.
        message: &'static str,
        /// The field, and what is wrong with it.
        source: FieldError,
    },
}

/// A field with a value that the protocol does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A text is longer than its limit.
    #[error("{field} has {len} bytes, {limit} are allowed")]
    TextTooLong {
        /// Name of the field.
        field: &'static str,
        /// Its length, in bytes.
        len: usize,
        /// Longest length allowed, in bytes.
        limit: usize,
    },
    /// A text holds a character that could act on a terminal or disguise what it says.
    #[error("{field} holds a control character")]
    Unprintable {
        /// Name of the field.
        field: &'static str,
    },
    /// Bytes that are no UTF-8.
    #[error("{field} is no text in UTF-8")]
    NotText {
        /// Name of the field.
        field: &'static str,
    },
    /// A PIN is shorter or longer than PINs are.
    #[error("a PIN has {MIN_PIN} to {MAX_PIN} bytes, and this one has {len}")]
    PinLength {
        /// Its length, in bytes.
        len: usize,
    },
    /// The id of an offered device is empty or has characters other than ASCII letters, digits and `_`.
    #[error("the device id is not made of letters, digits and underscores")]
    DeviceId,
    /// A session has the number 0.
    #[error("the session has no number")]
    Session,
    /// A URB has the sequence number 0.
    #[error("the sequence number is 0")]
    Sequence,
    /// An endpoint address uses reserved bits, or is 0x80: the control endpoint has one lane, 0x00.
    #[error("{0:#04x} is not the address of a lane's endpoint")]
    Endpoint(u8),
    /// A URB transfers more than [`MAX_URB_LEN`] bytes.
    #[error("a transfer of {0} bytes, {MAX_URB_LEN} are allowed")]
    UrbTooLong(u32),
    /// An isochronous URB has more packets than [`MAX_ISO_PACKETS`].
    #[error("{0} isochronous packets, {MAX_ISO_PACKETS} are allowed")]
    TooManyPackets(u16),
    /// The packets of an isochronous URB are not those that were submitted, or don't add up to its length.
    #[error("isochronous packets that do not fit their URB")]
    Packets,
    /// A setup packet on another lane than the control endpoint's, or none there.
    #[error("a setup packet belongs to every URB of the control endpoint and to no other")]
    Setup,
    /// The payload is not what the header calls for.
    #[error("a payload of {got} bytes where the header calls for {expected}")]
    Payload {
        /// Length that follows from the header, in bytes.
        expected: u32,
        /// Length in the frame's prefix, in bytes.
        got: u32,
    },
    /// A completion reports more bytes than its URB asked for.
    #[error("a completion of {actual} bytes for a URB of {submitted}")]
    MoreThanSubmitted {
        /// Reported length, in bytes.
        actual: u32,
        /// Length of the URB, in bytes.
        submitted: u32,
    },
}

/// Something that the other end of a lane must not do. The session ends over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LaneError {
    /// A submit does not carry the number after the one before it.
    #[error("URB {got} came where {expected} was due")]
    OutOfOrder {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// More than [`MAX_URBS_PER_LANE`] URBs in flight.
    #[error("more than {MAX_URBS_PER_LANE} URBs in flight")]
    TooManyUrbs,
    /// More bytes in flight than [`MAX_LANE_BYTES`](crate::MAX_LANE_BYTES), or one URB longer than
    /// [`MAX_URB_LEN`].
    #[error("more bytes in flight than a lane may have")]
    TooManyBytes,
    /// An unlink names a URB that can't have been submitted yet: it is more than [`MAX_URBS_PER_LANE`]
    /// after the last one that came.
    #[error("URB {seq} is unlinked and {last} was the last one that came")]
    UnlinkTooFar {
        /// The number to unlink.
        seq: u64,
        /// The number of the last submit.
        last: u64,
    },
    /// The importer says that it has received fewer completions than it said before, or more than were sent.
    #[error("{received} completions are said to have come, between {acknowledged} and {sent} is possible")]
    Acknowledged {
        /// The number that it says.
        received: u64,
        /// The number that it said before.
        acknowledged: u64,
        /// How many were sent.
        sent: u64,
    },
    /// The exporter of a session that goes on says that a URB came last that was never submitted, or that came
    /// before one that it has completed.
    #[error("URB {said} is said to have come last, and {last} was submitted last")]
    Position {
        /// The number that it says.
        said: u64,
        /// The number of the last submit.
        last: u64,
    },
}
