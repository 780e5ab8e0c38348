//! The messages on a lane, and where a lane stands.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{
    error::{FieldError, ProtocolError},
    frame::{Kind, PREFIX_LEN},
    iso::{complete_table_len, submit_table_len, validate_packets},
    limits::MAX_URB_LEN,
    session::SessionId,
    urb::{Direction, UrbFlags, UrbStatus, validate_endpoint, validate_seq},
};

/// A message on a lane. The importer opens the stream, sends one `Open` and then `Submit`s, with an `Acknowledge`
/// where none is to be sent soon; the exporter answers with `Complete`s, one for each `Submit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneMessage {
    /// Which lane the stream is. The first frame, and the only one of its kind. No payload.
    Open {
        /// The session that the lane belongs to.
        session: SessionId,
        /// Address of the endpoint, with the direction in bit 7; 0x00 for the control endpoint.
        endpoint: u8,
    },
    /// A URB to run. The payload is the table of an isochronous URB's packets ([`iso`](crate::iso)), then the data of an
    /// OUT transfer.
    Submit(Submit),
    /// A URB that has ended. The payload is the table of what became of an isochronous URB's packets, then the data of an
    /// IN transfer.
    Complete(Complete),
    /// Importer: so many completions have come. For a lane on which no `Submit` will say so soon. No payload.
    Acknowledge {
        /// As in [`Submit::received`].
        received: u64,
    },
}

/// Where a lane stands, said when a session goes on over another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePosition {
    /// Address of the lane's endpoint.
    pub endpoint: u8,
    /// From the importer: how many completions it has received on the lane. From the exporter: the number of
    /// the last URB that was submitted to it there, 0 before the first.
    pub position: u64,
}

/// A URB to run, from the importer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Its number on this lane: 1 for the first, and one more for each that follows.
    pub seq: u64,
    /// How many completions the importer has received on this lane, whatever URBs they were for. The exporter
    /// keeps each completion until it knows from this number that it has arrived.
    pub received: u64,
    /// How it is to be carried out.
    pub flags: UrbFlags,
    /// Bytes to transfer, at most [`MAX_URB_LEN`]: those in the payload for OUT, the most that may be
    /// returned for IN.
    pub length: u32,
    /// The setup packet, for the control endpoint and no other.
    pub setup: Option<[u8; 8]>,
    /// How many packets an isochronous URB has, at most [`MAX_ISO_PACKETS`](crate::MAX_ISO_PACKETS); 0 for every
    /// other one.
    pub packets: u16,
}

impl Submit {
    /// Which way the data goes, on the lane of `endpoint`.
    pub const fn direction(&self, endpoint: u8) -> Direction {
        Direction::of(endpoint, self.setup)
    }

    /// Checks what only the exporter's reader knows: whether the message fits the lane that it came on
    /// and the payload that its frame announces.
    ///
    /// # Errors
    ///
    /// [`FieldError::Setup`] and [`FieldError::Payload`], as a [`ProtocolError`].
    pub fn check(&self, endpoint: u8, payload_len: u32) -> Result<(), ProtocolError> {
        if self.setup.is_some() != (endpoint == 0) {
            return Err(Kind::Submit.invalid(FieldError::Setup));
        }
        let expected = match self.direction(endpoint) {
            Direction::Out => self.length,
            Direction::In => 0,
        };
        check_payload(Kind::Submit, submit_table_len(self.packets) + expected, payload_len)
    }

    fn validate(&self) -> Result<(), FieldError> {
        validate_seq(self.seq)?;
        validate_packets(self.packets)?;
        validate_length(self.length)
    }
}

/// A URB that has ended, from the exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complete {
    /// The number of its `Submit`.
    pub seq: u64,
    /// How it ended.
    pub status: UrbStatus,
    /// Bytes that were transferred, whatever the status; those in the payload for IN.
    pub actual_length: u32,
    /// How many packets of an isochronous URB are accounted for: all of them, or none where it did not run.
    pub packets: u16,
}

impl Complete {
    /// Checks what only the importer's reader knows: whether the message fits the URB that it completes,
    /// by that URB's direction and length, and the payload that its frame announces.
    ///
    /// # Errors
    ///
    /// [`FieldError::MoreThanSubmitted`] and [`FieldError::Payload`], as a [`ProtocolError`].
    pub fn check(&self, direction: Direction, submitted: u32, payload_len: u32) -> Result<(), ProtocolError> {
        let actual = self.actual_length;
        if actual > submitted {
            return Err(Kind::Complete.invalid(FieldError::MoreThanSubmitted { actual, submitted }));
        }
        let expected = match direction {
            Direction::Out => 0,
            Direction::In => actual,
        };
        check_payload(Kind::Complete, complete_table_len(self.packets) + expected, payload_len)
    }

    fn validate(&self) -> Result<(), FieldError> {
        validate_seq(self.seq)?;
        validate_packets(self.packets)?;
        validate_length(self.actual_length)
    }
}

fn validate_length(length: u32) -> Result<(), FieldError> {
    if length > MAX_URB_LEN {
        return Err(FieldError::UrbTooLong(length));
    }
    Ok(())
}

fn check_payload(kind: Kind, expected: u32, got: u32) -> Result<(), ProtocolError> {
    if got != expected {
        return Err(kind.invalid(FieldError::Payload { expected, got }));
    }
    Ok(())
}

impl LaneMessage {
    /// The most bytes that [`encode`](Self::encode) gives: those of a prefix, and of a `Submit` in which every number has
    /// its greatest value.
    pub const MAX_ENCODED: usize = PREFIX_LEN + 10 + 10 + 1 + 5 + 9 + 3;

    /// The prefix and the header of the frame, behind which `payload_len` raw bytes are to follow.
    pub fn encode(&self, payload_len: u32) -> Bytes {
        let mut frame = BytesMut::new();
        self.encode_into(payload_len, &mut frame);
        frame.freeze()
    }

    /// As [`encode`](Self::encode), behind what `frame` holds already. With room for [`MAX_ENCODED`](Self::MAX_ENCODED) bytes
    /// it needs no more memory.
    pub fn encode_into(&self, payload_len: u32, frame: &mut BytesMut) {
        match self {
            Self::Open { session, endpoint } => Kind::LaneOpen.write_into(&(session, endpoint), payload_len, frame),
            Self::Submit(submit) => Kind::Submit.write_into(submit, payload_len, frame),
            Self::Complete(complete) => Kind::Complete.write_into(complete, payload_len, frame),
            Self::Acknowledge { received } => Kind::Acknowledge.write_into(&(received,), payload_len, frame),
        }
    }

    /// The message in a frame's header, `None` where the kind is one that this version does not know and
    /// the frame is to be ignored with its payload.
    ///
    /// The message is valid in itself. See [`Submit::check`] and [`Complete::check`] for what depends on
    /// where it came.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::WrongStream`], [`ProtocolError::Malformed`] and [`ProtocolError::Invalid`].
    pub fn decode(kind: u16, header: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some(kind) = Kind::from_number(kind) else {
            return Ok(None);
        };
        let message = match kind {
            Kind::LaneOpen => {
                let (session, endpoint) = kind.read(header)?;
                Self::Open { session, endpoint }
            }
            Kind::Submit => Self::Submit(kind.read(header)?),
            Kind::Complete => Self::Complete(kind.read(header)?),
            Kind::Acknowledge => {
                let (received,) = kind.read(header)?;
                Self::Acknowledge { received }
            }
            other => return Err(other.misplaced()),
        };
        message.validate().map_err(|source| kind.invalid(source))?;
        Ok(Some(message))
    }

    fn validate(&self) -> Result<(), FieldError> {
        match self {
            Self::Open { session, endpoint } => {
                session.validate()?;
                validate_endpoint(*endpoint)
            }
            Self::Submit(submit) => submit.validate(),
            Self::Complete(complete) => complete.validate(),
            Self::Acknowledge { .. } => Ok(()),
        }
    }
}
