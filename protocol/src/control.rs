//! The messages on the control stream.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    address::{self, PeerAddress},
    device::{OfferedDevice, Speed},
    error::{FieldError, ProtocolError},
    frame::Kind,
    lane::LanePosition,
    limits::MAX_LANES,
    list,
    pin::ShownPin,
    session::{EndReason, Refusal, SessionId},
    text,
    urb::{validate_endpoint, validate_seq},
    version::MAJOR,
};

/// A message on the control stream, which the importer opens.
///
/// Both sides send a `Hello` first. Then the exporter sends a `DeviceOffered` for each device that it
/// offers, `DevicesComplete` when it has named all of them, and from then on what changes. Only
/// `Attached` has a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlMessage {
    /// Who speaks. The first message of either side.
    Hello(Hello),
    /// Exporter: a device is offered, or something about it has changed.
    DeviceOffered(OfferedDevice),
    /// Exporter: a device is offered no longer.
    DeviceWithdrawn {
        /// The id by which it was offered.
        id: String,
    },
    /// Exporter: every device that is offered at the start has been named.
    DevicesComplete,
    /// Importer: asks for a device, and starts a session.
    Attach(Attach),
    /// Exporter: the device is the importer's. The payload is the raw device descriptor and
    /// configuration descriptors, one behind the other as in the `descriptors` attribute in sysfs.
    Attached(Attached),
    /// Exporter: the device can't be had, and the session does not start.
    AttachRefused(AttachRefused),
    /// Importer: is done with the device. The exporter gives it back and answers with `Ended`.
    Detach {
        /// The session to end.
        session: SessionId,
    },
    /// Either side: the session is over. It has no lanes any longer and its number is not used again.
    Ended {
        /// The session that ended.
        session: SessionId,
        /// Why, as the receiver shall see it: [`EndReason::for_peer`].
        reason: EndReason,
    },
    /// Importer: a URB is to be cancelled. It is completed on its lane as ever, with
    /// [`UrbStatus::Cancelled`](crate::UrbStatus::Cancelled) unless it was done before. The message may
    /// overtake the URB's `Submit`.
    Unlink {
        /// The session.
        session: SessionId,
        /// Address of the lane's endpoint.
        endpoint: u8,
        /// The number of the URB on that lane.
        seq: u64,
    },
    /// Importer: goes on with a session whose connection was lost. Its lanes are opened anew, once the answer
    /// is there: `Resumed`, or `Ended` where the exporter does not have the session any longer.
    Resume(Resume),
    /// Exporter: the session goes on over this connection, and over no other any longer. The importer sends
    /// what was submitted after the position of each lane, and every unlink that has no completion yet.
    Resumed(Resumed),
    /// Importer: waits for a device that another peer has; or neither waits for it nor wants to have it back by itself
    /// any longer. The exporter offers a free device as available to the first of those who wait only, and asks one that is
    /// done with a device for its PIN the next time. To say it again changes nothing.
    Queue {
        /// The id by which the device is offered.
        id: String,
        /// Whether the importer waits.
        waits: bool,
    },
    /// Exporter: the session is going to end by itself, and nobody has to do anything about it. It is said again when the
    /// session goes on over another connection, and when the time is another one. Since minor version 1.
    Ending(Ending),
    /// Exporter: somebody is being asked whether the importer may have the device. The answer to `Attach` takes as long as
    /// that, at most [`ASKING_MAX`](crate::ASKING_MAX). Since minor version 2.
    Asking {
        /// The session that has not started yet.
        session: SessionId,
    },
    /// Importer: the PIN for the session that its next `Attach` starts. Only that one looks at it. Since minor version 2.
    Pin(ShownPin),
}

/// Who speaks, and in which version.
///
/// A hello of another major version is decoded as far as it can be: its two version fields are as sent, the
/// others are empty. The receiver then closes the connection with
/// [`CloseCode::VersionMismatch`](crate::CloseCode::VersionMismatch).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Major version of the protocol. First in the message in every version.
    pub major: u16,
    /// Minor version of the protocol. Second in the message in every version.
    pub minor: u16,
    /// What the sender can do beyond its minor version, one bit each. This version defines none and
    /// ignores all.
    pub features: u64,
    /// A random number that the sender's process keeps for as long as it runs: a peer that comes back with
    /// another one knows nothing of its earlier sessions.
    pub instance: u64,
    /// Name and version of the program, for people.
    #[serde(serialize_with = "text::serialize")]
    pub software: String,
    /// What the machine calls itself, for people.
    #[serde(serialize_with = "text::serialize")]
    pub label: String,
    /// Where the sender can be reached.
    #[serde(with = "address")]
    pub addresses: Vec<PeerAddress>,
}

impl Hello {
    fn of_other_major(major: u16, minor: u16) -> Self {
        let (software, label, addresses) = (String::new(), String::new(), Vec::new());
        Self { major, minor, features: 0, instance: 0, software, label, addresses }
    }
}

/// Asks for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The number of the session that starts.
    pub session: SessionId,
    /// The id by which the device was offered.
    #[serde(serialize_with = "text::serialize_device_id")]
    pub device: String,
}

/// The device is the importer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The session that has started.
    pub session: SessionId,
    /// The speed that the device runs at on the exporter.
    pub speed: Speed,
    /// idVendor.
    pub vendor_id: u16,
    /// idProduct.
    pub product_id: u16,
}

/// The device can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRefused {
    /// The session that does not start.
    pub session: SessionId,
    /// Why.
    pub reason: Refusal,
    /// More about it, for people; may be empty.
    #[serde(serialize_with = "text::serialize")]
    pub detail: String,
}

/// Goes on with a session over this connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The session.
    pub session: SessionId,
    /// How many completions have come on each lane that was ever opened, at most [`MAX_LANES`].
    #[serde(
        serialize_with = "list::serialize::<_, _, MAX_LANES>",
        deserialize_with = "list::deserialize::<_, _, MAX_LANES>"
    )]
    pub lanes: Vec<LanePosition>,
}

/// The session goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The session.
    pub session: SessionId,
    /// The last URB that came on each of the lanes that the importer named, at most [`MAX_LANES`].
    #[serde(
        serialize_with = "list::serialize::<_, _, MAX_LANES>",
        deserialize_with = "list::deserialize::<_, _, MAX_LANES>"
    )]
    pub lanes: Vec<LanePosition>,
}

/// The session is going to end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The session.
    pub session: SessionId,
    /// Why it is going to end.
    pub reason: EndReason,
    /// How much time is left, in microseconds. Not a moment: the clocks of two machines differ.
    pub left_usec: u64,
}

fn validate_positions(session: SessionId, lanes: &[LanePosition]) -> Result<(), FieldError> {
    session.validate()?;
    lanes.iter().try_for_each(|lane| validate_endpoint(lane.endpoint))
}

impl ControlMessage {
    /// The frame of a message that has no payload: its prefix and its header.
    pub fn encode(&self) -> Bytes {
        self.encode_with_payload_len(0)
    }

    /// The prefix and the header of the frame, behind which `payload_len` raw bytes are to follow.
    pub fn encode_with_payload_len(&self, payload_len: u32) -> Bytes {
        match self {
            Self::Hello(hello) => Kind::Hello.write(hello, payload_len),
            Self::DeviceOffered(device) => Kind::DeviceOffered.write(device, payload_len),
            Self::DeviceWithdrawn { id } => Kind::DeviceWithdrawn.write(&(text::DeviceId(id),), payload_len),
            Self::DevicesComplete => Kind::DevicesComplete.write(&(), payload_len),
            Self::Attach(attach) => Kind::Attach.write(attach, payload_len),
            Self::Attached(attached) => Kind::Attached.write(attached, payload_len),
            Self::AttachRefused(refused) => Kind::AttachRefused.write(refused, payload_len),
            Self::Detach { session } => Kind::Detach.write(&(session,), payload_len),
            Self::Ended { session, reason } => Kind::Ended.write(&(session, reason), payload_len),
            Self::Unlink { session, endpoint, seq } => Kind::Unlink.write(&(session, endpoint, seq), payload_len),
            Self::Resume(resume) => Kind::Resume.write(resume, payload_len),
            Self::Resumed(resumed) => Kind::Resumed.write(resumed, payload_len),
            Self::Queue { id, waits } => Kind::Queue.write(&(text::DeviceId(id), waits), payload_len),
            Self::Ending(ending) => Kind::Ending.write(ending, payload_len),
            Self::Asking { session } => Kind::Asking.write(&(session,), payload_len),
            Self::Pin(shown) => Kind::Pin.write(shown, payload_len),
        }
    }

    /// The message in a frame's header, `None` where the kind is one that this version does not know and
    /// the frame is to be ignored with its payload.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::WrongStream`], [`ProtocolError::Malformed`] and [`ProtocolError::Invalid`].
    pub fn decode(kind: u16, header: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some(kind) = Kind::from_number(kind) else {
            return Ok(None);
        };
        let message = match kind {
            Kind::Hello => {
                let (major, minor) = read_version(kind, header)?;
                Self::Hello(if major == MAJOR { kind.read(header)? } else { Hello::of_other_major(major, minor) })
            }
            Kind::DeviceOffered => Self::DeviceOffered(kind.read(header)?),
            Kind::DeviceWithdrawn => {
                let (id,) = kind.read(header)?;
                Self::DeviceWithdrawn { id }
            }
            Kind::DevicesComplete => Self::DevicesComplete,
            Kind::Attach => Self::Attach(kind.read(header)?),
            Kind::Attached => Self::Attached(kind.read(header)?),
            Kind::AttachRefused => Self::AttachRefused(kind.read(header)?),
            Kind::Detach => {
                let (session,) = kind.read(header)?;
                Self::Detach { session }
            }
            Kind::Ended => {
                let (session, reason) = kind.read(header)?;
                Self::Ended { session, reason }
            }
            Kind::Unlink => {
                let (session, endpoint, seq) = kind.read(header)?;
                Self::Unlink { session, endpoint, seq }
            }
            Kind::Resume => Self::Resume(kind.read(header)?),
            Kind::Resumed => Self::Resumed(kind.read(header)?),
            Kind::Queue => {
                let (id, waits) = kind.read(header)?;
                Self::Queue { id, waits }
            }
            Kind::Ending => Self::Ending(kind.read(header)?),
            Kind::Asking => {
                let (session,) = kind.read(header)?;
                Self::Asking { session }
            }
            Kind::Pin => Self::Pin(kind.read(header)?),
            other => return Err(other.misplaced()),
        };
        message.validate().map_err(|source| kind.invalid(source))?;
        Ok(Some(message))
    }

    fn validate(&self) -> Result<(), FieldError> {
        match self {
            Self::Hello(hello) => {
                text::validate("software", &hello.software)?;
                text::validate("label", &hello.label)?;
                address::validate(&hello.addresses)
            }
            Self::DeviceOffered(device) => device.validate(),
            Self::DeviceWithdrawn { id } | Self::Queue { id, .. } => text::validate_device_id(id),
            Self::DevicesComplete => Ok(()),
            Self::Attach(Attach { session, device }) => {
                session.validate()?;
                text::validate_device_id(device)
            }
            Self::Attached(Attached { session, .. })
            | Self::Detach { session }
            | Self::Ended { session, .. }
            | Self::Asking { session }
            | Self::Ending(Ending { session, .. }) => session.validate(),
            Self::AttachRefused(AttachRefused { session, detail, .. }) => {
                session.validate()?;
                text::validate("detail", detail)
            }
            Self::Pin(ShownPin { session, pin }) => {
                session.validate()?;
                pin.validate()
            }
            Self::Unlink { session, endpoint, seq } => {
                session.validate()?;
                validate_endpoint(*endpoint)?;
                validate_seq(*seq)
            }
            Self::Resume(Resume { session, lanes }) | Self::Resumed(Resumed { session, lanes }) => {
                validate_positions(*session, lanes)
            }
        }
    }
}

/// The major and minor version in a first message. They stand first in every version, and what is behind them
/// can be read only where the major version is this one.
pub(crate) fn read_version(kind: Kind, header: &[u8]) -> Result<(u16, u16), ProtocolError> {
    kind.read(header)
}
