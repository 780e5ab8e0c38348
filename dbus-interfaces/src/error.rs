//! The D-Bus errors of this API: their names, and one error type for both ends of a call.

use std::fmt;

use zbus::message::{Header, Message};

use crate::names::{ERROR_PREFIX, FDO_ERROR_PREFIX};

macro_rules! error_names {
    (
        own { $($(#[$own_doc:meta])* $own:ident,)* }
        standard { $($(#[$fdo_doc:meta])* $fdo:ident,)* }
    ) => {
        /// The errors that methods of this API answer with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorName {
            $($(#[$own_doc])* $own,)*
            $($(#[$fdo_doc])* $fdo,)*
        }

        impl ErrorName {
            /// Every error.
            pub const ALL: &[Self] = &[$(Self::$own,)* $(Self::$fdo,)*];

            /// The full D-Bus name, such as `org.p2pusb1.Error.DeviceBusy`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$own => concat!("org.p2pusb1.Error.", stringify!($own)),)*
                    $(Self::$fdo => concat!("org.freedesktop.DBus.Error.", stringify!($fdo)),)*
                }
            }

            /// Read a full D-Bus name. `None` for a name that is not of this API: a newer daemon may
            /// have more; treat those as [`ErrorName::Failed`].
            pub fn from_name(name: &str) -> Option<Self> {
                if let Some(own) = name.strip_prefix(ERROR_PREFIX) {
                    return match own {
                        $(stringify!($own) => Some(Self::$own),)*
                        _ => None,
                    };
                }
                match name.strip_prefix(FDO_ERROR_PREFIX)? {
                    $(stringify!($fdo) => Some(Self::$fdo),)*
                    _ => None,
                }
            }
        }
    };
}

error_names! {
    own {
        /// Something went wrong that has no name of its own; the message says what.
        Failed,
        /// Somebody else has claimed the device, or a program on its machine uses it.
        DeviceBusy,
        /// The device has been unplugged, or is no longer offered.
        DeviceGone,
        /// This device is never shared: a hub, what p2pusbd or another tool attached here, or what a udev
        /// rule excludes. `Device.Excluded` says which.
        DeviceExcluded,
        /// This machine depends on the device (its only keyboard, a mounted disk); the option
        /// `force` shares it all the same.
        DeviceSensitive,
        /// This machine's settings keep a device with such interfaces away from its kernel, or the device has others
        /// than those that it was offered with.
        DeviceNotAccepted,
        /// The device asks for a PIN, and none was given.
        PinRequired,
        /// The PIN is not the device's; the message says how many tries are left.
        PinWrong,
        /// There were too many wrong PINs: for a while none is looked at. The message says for how long.
        PinLocked,
        /// There is a share for this device already.
        AlreadyShared,
        /// The share follows from a udev rule or a rule of the settings; it is changed there and not by hand.
        ShareDerived,
        /// The share does not exist any more.
        NotShared,
        /// The remote device is attached here already.
        AlreadyAttached,
        /// The attachment has ended already.
        NotAttached,
        /// No paired peer by this object path.
        PeerUnknown,
        /// The peer could not be reached, or did not answer in time.
        PeerUnreachable,
        /// The peer was reached and said no.
        PeerRefused,
        /// This machine has blocked the peer; it has to be unblocked first.
        PeerBlocked,
        /// Another peer has this label.
        LabelTaken,
        /// The peer speaks another major version of the protocol.
        ProtocolMismatch,
        /// This string is no ticket, or it was changed on its way.
        TicketInvalid,
        /// The ticket's time is over.
        TicketExpired,
        /// The ticket has paired a machine already; each is good for one.
        TicketUsed,
        /// All ports of the virtual host controller that fit this device's speed are taken.
        NoFreePort,
        /// The kernel lacks the virtual host controller (module `vhci_hcd`), or the daemon may not
        /// use it.
        KernelSupportMissing,
        /// The call takes an answer of a person, and no agent is registered that could ask one.
        NobodyToAsk,
        /// Another call ended the work: a detach during an attach, or the daemon stops.
        Cancelled,
        /// The work took longer than it may.
        TimedOut,
        /// The daemon holds as many of these as it is willing to.
        LimitReached,
        /// The settings are wrong; the message names file and line. The daemon keeps those that it has.
        SettingsInvalid,
    }
    standard {
        /// polkit, or its absence, forbids this to the caller.
        AccessDenied,
        /// polkit would ask for a password, but the call did not allow it to: repeat it with the
        /// flag `ALLOW_INTERACTIVE_AUTHORIZATION`.
        InteractiveAuthorizationRequired,
        /// An argument is out of its range, or an option is unknown.
        InvalidArgs,
        /// No object by this path.
        UnknownObject,
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of this API with its message: what a method of the daemon answers with, and what a
/// client makes of a failed call.
///
/// The message is one English sentence or clause for people, without a prefix and without secrets.
/// Programs look at the name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodError {
    /// Which error it is.
    pub name: ErrorName,
    /// What happened, for people.
    pub message: String,
}

impl MethodError {
    /// An error with this name and message.
    pub fn new(name: ErrorName, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }

    /// The error of this API that a failed call was answered with. `None` where the call failed for
    /// another reason: no bus, no daemon, or a reply that is not of this API.
    pub fn from_call(error: &zbus::Error) -> Option<Self> {
        match error {
            zbus::Error::MethodError(name, message, _) => {
                Some(Self::new(ErrorName::from_name(name.as_str())?, message.clone().unwrap_or_default()))
            }
            zbus::Error::FDO(error) => {
                let name = ErrorName::from_name(zbus::DBusError::name(error.as_ref()).as_str())?;
                let message = zbus::DBusError::description(error.as_ref()).unwrap_or_default();
                Some(Self::new(name, message))
            }
            _ => None,
        }
    }
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for MethodError {}

impl zbus::DBusError for MethodError {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, zbus::DBusError::name(self)).build(&(self.message.as_str(),))
    }

    fn name(&self) -> zbus::names::ErrorName<'_> {
        zbus::names::ErrorName::from_static_str_unchecked(self.name.as_str())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_valid() {
        for &name in ErrorName::ALL {
            assert_eq!(ErrorName::from_name(name.as_str()), Some(name));
            zbus::names::ErrorName::try_from(name.as_str()).unwrap();
        }
        assert_eq!(ErrorName::ALL.len(), 34);
    }

    #[test]
    fn foreign_names_are_not_read() {
        for name in [
            "org.p2pusb1.Error.NoSuchError",
            "org.p2pusb1.Error.AccessDenied",
            "org.freedesktop.DBus.Error.DeviceBusy",
            "org.p2pusb1.Error.",
            "DeviceBusy",
            "",
        ] {
            assert_eq!(ErrorName::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_reply_carries_name_and_message_to_the_caller() {
        let call = Message::method_call("/org/p2pusb1", "CreateTicket").build(&()).unwrap();
        for name in [ErrorName::TicketUsed, ErrorName::AccessDenied] {
            let sent = MethodError::new(name, "the ticket has paired a machine already");
            let reply = zbus::DBusError::create_reply(&sent, &call.header()).unwrap();
            let received = zbus::Error::from(reply);
            assert_eq!(MethodError::from_call(&received), Some(sent));
        }
    }

    #[test]
    fn a_call_that_failed_without_an_answer_is_no_error_of_this_api() {
        assert_eq!(MethodError::from_call(&zbus::Error::InvalidReply), None);
        let absent = zbus::fdo::Error::ServiceUnknown("no such name".to_owned());
        assert_eq!(MethodError::from_call(&absent.into()), None);
    }
}
