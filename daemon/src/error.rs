//! What can go wrong in the daemon, as its users see it. `bus/error.rs` gives each a D-Bus name.

use p2pusb_protocol::{Refusal, Speed};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error of the daemon. The text says what was wrong and, where there is something, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device is not plugged in (any more), or the peer no longer offers it.
    #[error("{0} is not plugged in any more")]
    DeviceGone(String),
    /// The device may never be shared.
    #[error("{device} can't be shared: {reason}")]
    DeviceExcluded {
        /// What was asked for.
        device: String,
        /// Why not.
        reason: String,
    },
    /// Sharing the device would hurt this machine; it takes the option `force`.
    #[error(
        "sharing {device} would take it away from this machine, and {reasons}; say --force to share it all the same"
    )]
    DeviceSensitive {
        /// What was asked for.
        device: String,
        /// What would be lost.
        reasons: String,
    },
    /// Somebody uses it.
    #[error("{device} can't be attached now: {detail}")]
    DeviceBusy {
        /// What was asked for.
        device: String,
        /// Who or what uses it, as its machine says.
        detail: String,
    },
    /// Its owner wants to see a PIN.
    #[error("{0} asks for a PIN")]
    PinRequired(String),
    /// It was another one.
    #[error("this is not the PIN of {device}: {detail}")]
    PinWrong {
        /// What was asked for.
        device: String,
        /// How many tries are left, or when the next one is looked at.
        detail: String,
    },
    /// For a while, no PIN of this machine is looked at.
    #[error("{device} takes no PIN now: {detail}")]
    PinLocked {
        /// What was asked for.
        device: String,
        /// When the next one is looked at.
        detail: String,
    },
    /// There is a share for this device.
    #[error("{0} is shared already; `p2pusb change` says anew who may use it")]
    AlreadyShared(String),
    /// The share follows from something, and is changed there.
    #[error("{device} is shared by {why}")]
    ShareDerived {
        /// What is shared.
        device: String,
        /// By what, and what to do about it.
        why: String,
    },
    /// There is no such share.
    #[error("{0} is not shared (any more)")]
    NotShared(String),
    /// This machine's own rules keep the device away from its kernel.
    #[error("{device} is not accepted here: {reason}")]
    DeviceNotAccepted {
        /// What was asked for.
        device: String,
        /// What it has that it must not have.
        reason: String,
    },
    /// This machine has it attached already.
    #[error("{0} is attached here already")]
    AlreadyAttached(String),
    /// There is no such attachment.
    #[error("{0} is not attached (any more)")]
    NotAttached(String),
    /// Not in the list of paired peers.
    #[error("there is no paired peer {0}; pair with it first (`p2pusb invite` there, `p2pusb pair` here)")]
    PeerUnknown(String),
    /// No connection could be made.
    #[error("{peer} can't be reached: {detail}")]
    PeerUnreachable {
        /// Which peer.
        peer: String,
        /// What was tried.
        detail: String,
    },
    /// The peer answered no.
    #[error("{peer} refused: {detail}")]
    PeerRefused {
        /// Which peer.
        peer: String,
        /// Why.
        detail: String,
    },
    /// This machine has blocked the peer.
    #[error("{0} is blocked; unblock it first (`p2pusb unblock`)")]
    PeerBlocked(String),
    /// Labels name peers, so no two are the same.
    #[error("another peer is called “{0}” already; choose another name, or rename that one first")]
    LabelTaken(String),
    /// The two machines speak different protocols.
    #[error("{peer} speaks protocol version {theirs}, this machine speaks {ours}; install the same release on both")]
    ProtocolMismatch {
        /// Which peer.
        peer: String,
        /// Its version.
        theirs: String,
        /// Our version.
        ours: String,
    },
    /// Not a ticket, or not one of that machine's.
    #[error("the ticket is not valid: {0}")]
    TicketInvalid(String),
    /// Too late.
    #[error("the ticket has expired; make a new one with `p2pusb invite` on the other machine")]
    TicketExpired,
    /// A ticket works once.
    #[error("the ticket has been used already; make a new one with `p2pusb invite` on the other machine")]
    TicketUsed,
    /// All ports of that speed are taken.
    #[error("no free port for a {speed} speed device on this machine's vhci_hcd; detach something first", speed = .0.as_str())]
    NoFreePort(Speed),
    /// The kernel part is missing.
    #[error("this machine's kernel can't attach USB devices: {0}")]
    KernelSupportMissing(String),
    /// Nobody has said that he can be asked.
    #[error("nobody can be asked here: no agent is registered with this machine's p2pusbd (org.p2pusb1.AgentManager)")]
    NobodyToAsk,
    /// Somebody called it off.
    #[error("{0} was called off")]
    Cancelled(String),
    /// It took too long.
    #[error("{0} took too long")]
    TimedOut(String),
    /// A limit of the daemon.
    #[error("there are already {limit} {what}; this daemon keeps no more")]
    LimitReached {
        /// How many there may be.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// The settings were to be read anew, and are wrong.
    #[error("the settings stay as they were: {0}")]
    SettingsInvalid(String),
    /// The caller's arguments were wrong.
    #[error("{0}")]
    InvalidArgs(String),
    /// Anything that is nobody's mistake.
    #[error("{context}: {source}")]
    Failed {
        /// What was being done.
        context: String,
        /// What stopped it.
        source: Source,
    },
}

/// The result of most things here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Something failed that the user could not foresee.
    pub fn failed(context: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Failed { context: context.into(), source: source.into() }
    }

    /// A peer's refusal to let us attach a device, in our words.
    pub fn refused(peer: &str, device: &str, reason: Refusal, detail: &str) -> Self {
        match reason {
            Refusal::NotShared => Self::NotShared(format!("{device} of {peer}")),
            Refusal::Busy => Self::DeviceBusy {
                device: format!("{device} of {peer}"),
                detail: if detail.is_empty() { reason.to_string() } else { detail.to_owned() },
            },
            Refusal::PinRequired => Self::PinRequired(format!("{device} of {peer}")),
            Refusal::PinWrong => Self::PinWrong { device: format!("{device} of {peer}"), detail: detail.to_owned() },
            Refusal::PinLocked => Self::PinLocked { device: format!("{device} of {peer}"), detail: detail.to_owned() },
            Refusal::Gone => Self::DeviceGone(format!("{device} of {peer}")),
            _ => Self::PeerRefused {
                peer: peer.to_owned(),
                detail: if detail.is_empty() { reason.as_str().to_owned() } else { detail.to_owned() },
            },
        }
    }
}
