//! The p2pusb wire protocol: what two daemons say to each other so that a USB device on one machine can be
//! used on the other. The crate does no I/O: it turns messages into bytes and bytes into messages, and
//! holds the rules of a lane as two small state machines. The page `README.md` beside it describes the
//! bytes and how the protocol may grow.
//!
//! # Connections
//!
//! Two daemons that are paired hold a QUIC connection with the ALPN [`ALPN`]. Who the other one is, is
//! settled by the keys of that connection and not by anything said here. A daemon that is not
//! paired yet uses [`PAIRING_ALPN`], on which [`PairingMessage`]s show a ticket, or lead to a code that people compare.
//!
//! The *importer* uses a device that is plugged into the *exporter*. It opens one bidirectional stream, the
//! *control stream*, on which both speak [`ControlMessage`]s: a [`Hello`] each, then the devices that the
//! exporter offers, and the start and the end of sessions.
//!
//! # Sessions and lanes
//!
//! A *session* is one device in use by one importer. It starts with [`Attach`], under a number that the
//! importer chooses, and is over with [`ControlMessage::Ended`].
//!
//! A *URB* is one USB request and its completion. Each endpoint that has any gets a *lane*, a bidirectional
//! stream that the importer opens, so that no endpoint waits for another. Its first frame says which lane
//! it is. From then on the importer sends [`Submit`]s and the exporter [`Complete`]s.
//!
//! # Sequence numbers
//!
//! The URBs of a lane are numbered 1, 2, 3 and so on, without gaps. Completions name the number and may
//! come in any order. An unlink travels on the control stream, because a lane may be full of data, and so
//! it can overtake the submit that it is meant for. The numbers make that harmless: the exporter sees that
//! the submit is still to come and does not run it. Both ends keep these rules with [`ImporterLane`] and
//! [`ExporterLane`].
//!
//! # A session outlives its connection
//!
//! Each side keeps what the other one may not have: the importer a URB until its completion has come, the
//! exporter a completion until the importer has said that it came ([`Submit::received`]). When a connection
//! is lost, the importer names on the next one what it has received ([`Resume`]), the exporter what was
//! submitted ([`Resumed`]), the lanes are opened anew, and each side sends what is missing. So every URB
//! runs exactly once, unless it was unlinked before it came, and is completed exactly once, whatever becomes of
//! connections.
//!
//! # Frames
//!
//! Every stream consists of frames: a [`Prefix`] of eight bytes, a header, and a payload of raw bytes that
//! no serialiser touches. The lengths in the prefix are checked before there is memory for them, and what
//! `decode` returns has been validated: texts and lists are within their limits, numbers are in range.
//!
//! ```
//! use p2pusb_protocol::{FrameLimits, LaneMessage, PREFIX_LEN, Prefix, Submit, UrbFlags};
//!
//! let submit = Submit { seq: 1, received: 0, flags: UrbFlags::empty(), length: 5, setup: None, packets: 0 };
//! let mut wire = LaneMessage::Submit(submit).encode(5).to_vec();
//! wire.extend_from_slice(b"hello");
//!
//! let (prefix, rest) = wire.split_first_chunk::<PREFIX_LEN>().ok_or("too short")?;
//! let prefix = Prefix::decode(*prefix);
//! prefix.check(FrameLimits::LANE)?;
//! let (header, payload) = rest.split_at(prefix.header_len.into());
//! match LaneMessage::decode(prefix.kind, header)? {
//!     Some(LaneMessage::Submit(submit)) => {
//!         submit.check(0x02, prefix.payload_len)?;
//!         assert_eq!((submit.seq, payload), (1, b"hello".as_slice()));
//!     }
//!     other => panic!("not what was sent: {other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod address;
pub mod agreement;
pub mod close;
pub mod control;
pub mod device;
pub mod error;
pub mod exporter_lane;
pub mod frame;
pub mod importer_lane;
pub mod iso;
pub mod lane;
pub mod limits;
mod list;
mod numbered;
pub mod pairing;
pub mod pin;
pub mod session;
mod text;
pub mod urb;
pub mod version;
mod wire_enum;

pub use address::PeerAddress;
pub use agreement::{COMMITMENT_LEN, Code, Commitment, NONCE_LEN, Nonce};
pub use close::CloseCode;
pub use control::{Attach, AttachRefused, Attached, ControlMessage, Ending, Hello, Resume, Resumed};
pub use device::{InterfaceClass, OfferedDevice, Speed};
pub use error::{FieldError, LaneError, ProtocolError};
pub use exporter_lane::{Accept, ExporterLane, UnlinkOutcome};
pub use frame::{FrameLimits, PREFIX_LEN, Prefix};
pub use importer_lane::ImporterLane;
pub use iso::IsoPacket;
pub use lane::{Complete, LaneMessage, LanePosition, Submit};
pub use limits::*;
pub use pairing::{
    PairChallenge, PairProposal, PairRefusal, PairRequest, PairingMessage, TICKET_SECRET_LEN, TicketSecret,
};
pub use pin::{Pin, ShownPin, pin_from_bytes};
pub use session::{EndReason, Refusal, SessionId};
pub use text::clip;
pub use urb::{Direction, UrbFlags, UrbStatus};
pub use version::{ALPN, MAJOR, MINOR, PAIRING_ALPN, PIN_MINOR};
