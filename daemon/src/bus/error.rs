//! Every error of the daemon, by its name on the bus. The one place where they meet.

use p2pusb_dbus::{ErrorName, MethodError};

use crate::{error::Error, policy::Denied};

impl From<Error> for MethodError {
    fn from(error: Error) -> Self {
        let name = match &error {
            Error::DeviceGone(_) => ErrorName::DeviceGone,
            Error::DeviceExcluded { .. } => ErrorName::DeviceExcluded,
            Error::DeviceSensitive { .. } => ErrorName::DeviceSensitive,
            Error::DeviceBusy { .. } => ErrorName::DeviceBusy,
            Error::DeviceNotAccepted { .. } => ErrorName::DeviceNotAccepted,
            Error::PinRequired(_) => ErrorName::PinRequired,
            Error::PinWrong { .. } => ErrorName::PinWrong,
            Error::PinLocked { .. } => ErrorName::PinLocked,
            Error::AlreadyShared(_) => ErrorName::AlreadyShared,
            Error::ShareDerived { .. } => ErrorName::ShareDerived,
            Error::NotShared(_) => ErrorName::NotShared,
            Error::AlreadyAttached(_) => ErrorName::AlreadyAttached,
            Error::NotAttached(_) => ErrorName::NotAttached,
            Error::PeerUnknown(_) => ErrorName::PeerUnknown,
            Error::PeerUnreachable { .. } => ErrorName::PeerUnreachable,
            Error::PeerRefused { .. } => ErrorName::PeerRefused,
            Error::PeerBlocked(_) => ErrorName::PeerBlocked,
            Error::LabelTaken(_) => ErrorName::LabelTaken,
            Error::ProtocolMismatch { .. } => ErrorName::ProtocolMismatch,
            Error::TicketInvalid(_) => ErrorName::TicketInvalid,
            Error::TicketExpired => ErrorName::TicketExpired,
            Error::TicketUsed => ErrorName::TicketUsed,
            Error::NoFreePort(_) => ErrorName::NoFreePort,
            Error::KernelSupportMissing(_) => ErrorName::KernelSupportMissing,
            Error::NobodyToAsk => ErrorName::NobodyToAsk,
            Error::Cancelled(_) => ErrorName::Cancelled,
            Error::TimedOut(_) => ErrorName::TimedOut,
            Error::LimitReached { .. } => ErrorName::LimitReached,
            Error::SettingsInvalid(_) => ErrorName::SettingsInvalid,
            Error::InvalidArgs(_) => ErrorName::InvalidArgs,
            Error::Failed { .. } => ErrorName::Failed,
        };
        Self::new(name, error.to_string())
    }
}

impl From<Denied> for MethodError {
    fn from(denied: Denied) -> Self {
        let name = match &denied {
            Denied::No(_) => ErrorName::AccessDenied,
            Denied::AskFirst => ErrorName::InteractiveAuthorizationRequired,
        };
        Self::new(name, denied.to_string())
    }
}
