//! Sessions: their numbers, and why they are refused or end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{error::FieldError, wire_enum::wire_enum};

/// The number of a session. The importer chooses it when it attaches; it is not 0 and is used once in the
/// lifetime of its process, because a session may go on over another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl SessionId {
    pub(crate) const fn validate(self) -> Result<(), FieldError> {
        match self.0 {
            0 => Err(FieldError::Session),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

wire_enum! {
    /// Why an exporter does not let a device be attached.
    #[non_exhaustive]
    pub enum Refusal {
        /// It failed, or for a reason that this version has no name for.
        Failed = 0 => "failed",
        /// No such device is shared with this peer.
        NotShared = 1 => "not-shared",
        /// Somebody else claims it.
        Busy = 2 => "busy",
        /// It is shared and not plugged in.
        Gone = 3 => "gone",
        /// The exporter can't pass on what the device needs.
        Unsupported = 4 => "unsupported",
        /// The exporter serves as many sessions as it allows.
        LimitReached = 5 => "limit-reached",
        /// It asks for a PIN, and none was shown. Since minor version 2, as the two that follow.
        PinRequired = 6 => "pin-required",
        /// The PIN that was shown is not the device's.
        PinWrong = 7 => "pin-wrong",
        /// There were too many wrong PINs: for a while none is looked at.
        PinLocked = 8 => "pin-locked",
        /// Somebody was asked and has said no, has not answered in time, or is not there. Since minor version 2.
        Declined = 9 => "declined",
    }
    unknown => Failed
}

impl fmt::Display for Refusal {
    /// Writes a sentence without its end, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the peer could not hand the device over",
            Self::NotShared => "the peer does not share this device with this machine",
            Self::Busy => "the device is in use",
            Self::Gone => "the device is not plugged in",
            Self::Unsupported => "the peer can't pass on what this device needs",
            Self::LimitReached => "the peer serves as many devices as it allows",
            Self::PinRequired => "the device asks for a PIN",
            Self::PinWrong => "this is not the device's PIN",
            Self::PinLocked => "there were too many wrong PINs",
            Self::Declined => "nobody there has agreed",
        })
    }
}

wire_enum! {
    /// Why a session ended, as the side that keeps the value sees it. On the wire it is what the receiver
    /// shall see; [`EndReason::for_peer`] turns one into the other.
    pub enum EndReason {
        /// The user of the device detached it.
        Detached = 0 => "detached",
        /// The device was unplugged from the exporter.
        DeviceUnplugged = 1 => "device-unplugged",
        /// The share was revoked, or no longer names this peer.
        ShareRevoked = 2 => "share-revoked",
        /// The other daemon stopped, or ended the session for a reason that this version has no name for.
        PeerStopped = 3 => "peer-stopped",
        /// The connection to the other daemon was lost.
        PeerLost = 4 => "peer-lost",
        /// One of the two machines was told to forget the other.
        PeerForgotten = 5 => "peer-forgotten",
        /// The importer's kernel gave the device up.
        KernelDetached = 6 => "kernel-detached",
        /// The device, or the exporter's access to it, failed.
        DeviceFailed = 7 => "device-failed",
        /// One side sent what the protocol does not allow.
        ProtocolError = 8 => "protocol-error",
        /// This daemon stopped.
        Stopped = 9 => "stopped",
        /// One of the two machines was told to block the other.
        PeerBlocked = 10 => "peer-blocked",
        /// The importer's own rules keep the device away from its kernel, since it presents other interfaces.
        NotAccepted = 11 => "not-accepted",
        /// The owner of the device has taken it back for now.
        TakenBack = 12 => "taken-back",
        /// The exporter lends the device for no longer at a time.
        SessionLimit = 13 => "session-limit",
        /// The hours are over in which the exporter lends the device.
        HoursOver = 14 => "hours-over",
    }
    unknown => PeerStopped
}

impl EndReason {
    /// What to tell the peer where this side ended a session for this reason: "this daemon stopped" is
    /// "the peer stopped" over there, the others read the same on both sides.
    pub const fn for_peer(self) -> Self {
        match self {
            Self::Stopped => Self::PeerStopped,
            other => other,
        }
    }
}

impl fmt::Display for EndReason {
    /// Writes a sentence without its end, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detached => "the device was detached",
            Self::DeviceUnplugged => "the device was unplugged",
            Self::ShareRevoked => "the device is not shared any longer",
            Self::PeerStopped => "p2pusbd on the other machine stopped",
            Self::PeerLost => "the connection to the other machine was lost",
            Self::PeerForgotten => "the machines are not paired any longer",
            Self::KernelDetached => "the kernel gave the device up",
            Self::DeviceFailed => "the device failed",
            Self::ProtocolError => "the machines did not understand each other",
            Self::Stopped => "p2pusbd stopped",
            Self::PeerBlocked => "one of the machines has blocked the other",
            Self::NotAccepted => "the device is not what it may be here",
            Self::TakenBack => "its owner has taken the device back for now",
            Self::SessionLimit => "the device is lent for no longer at a time",
            Self::HoursOver => "the hours are over in which the device is lent",
        })
    }
}
