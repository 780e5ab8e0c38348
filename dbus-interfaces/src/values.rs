//! The kebab-case strings that stand for enumerations on the bus.
//!
//! A newer daemon may send a value that this list does not have. It is read as `Unknown`, and a client
//! that has no better idea shows it as "unknown"; it is never an error.

macro_rules! values {
    ($(
        $(#[$type_doc:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }
    )*) => {$(
        $(#[$type_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A value that this version does not know.
            Unknown,
        }

        impl $name {
            /// Every value but `Unknown`.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The string on the bus.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "unknown",
                }
            }

            /// Read the string on the bus; a string that is not in the list is `Unknown`.
            pub fn from_value(value: &str) -> Self {
                match value {
                    $($text => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

values! {
    /// `Manager.State`.
    ManagerState {
        /// The daemon reads its state and binds its endpoint; nothing can be done yet.
        Starting = "starting",
        /// Ready.
        Running = "running",
        /// The daemon gives every device back and ends.
        Stopping = "stopping",
    }

    /// `Manager.RelayMode`: whether, and through whom, peers that cannot reach each other directly meet.
    RelayMode {
        /// No relay: peers meet directly or not at all, and nobody else learns that they exist.
        None = "none",
        /// A relay that the settings name.
        Custom = "custom",
        /// The public relays of the iroh project.
        Public = "public",
    }

    /// `Device.State`.
    DeviceState {
        /// Plugged in, not offered to anybody.
        Available = "available",
        /// Offered, not claimed.
        Shared = "shared",
        /// Claimed by a peer; this machine's own drivers do not have it.
        InUse = "in-use",
        /// Never shared; see [`Exclusion`].
        Excluded = "excluded",
    }

    /// `Device.Excluded`: why a device is never shared.
    Exclusion {
        /// It may be shared.
        No = "",
        /// It is the root hub of a host controller.
        RootHub = "root-hub",
        /// It is a hub: the devices behind it are shared one by one.
        Hub = "hub",
        /// p2pusbd attached it here from a peer; sharing it on would make a loop.
        AttachedHere = "attached-here",
        /// A udev rule of this machine sets `P2PUSB_IGNORE` to 1 for it.
        Ignored = "ignored",
        /// A rule of this machine's settings says `never-share` of it.
        Rule = "rule",
    }

    /// `Device.Speed` and `RemoteDevice.Speed`. A speed that the kernel does not tell is `Unknown`, too.
    Speed {
        /// 1.5 Mbit/s.
        Low = "low",
        /// 12 Mbit/s.
        Full = "full",
        /// 480 Mbit/s.
        High = "high",
        /// 5 Gbit/s.
        Super = "super",
        /// 10 Gbit/s and more.
        SuperPlus = "super-plus",
    }

    /// `Share.Origin`: where a share comes from.
    ShareOrigin {
        /// Somebody has made it with `Manager.ShareDevice`; it goes with `Share.Revoke`.
        Person = "person",
        /// A udev rule of this machine sets `P2PUSB_SHARE` to 1 for the device; it goes with the property.
        Udev = "udev",
        /// A rule of this machine's settings says `share` of the device; it goes with the rule.
        Rule = "rule",
    }

    /// `Share.State`.
    ShareState {
        /// The device is not plugged in; it is offered again as soon as it is.
        Waiting = "waiting",
        /// Offered, not claimed.
        Available = "available",
        /// Offered, but not at this hour.
        Closed = "closed",
        /// Claimed by a peer.
        InUse = "in-use",
        /// Claimed by a peer to which the connection is lost, for as long as the grace time lasts.
        Reconnecting = "reconnecting",
        /// Its owner has taken it back for now.
        Paused = "paused",
    }

    /// `Peer.State`.
    PeerState {
        /// Not connected; tried again from time to time.
        Offline = "offline",
        /// A connection is being made.
        Connecting = "connecting",
        /// Connected.
        Online = "online",
        /// The peer was reached and does not want us: it has forgotten this machine, or its version
        /// does not fit.
        Refused = "refused",
    }

    /// `Peer.Trust`: what this machine thinks of the peer.
    Trust {
        /// It may use what is shared with it, and this machine may use what it shares.
        Paired = "paired",
        /// It is refused, and not dialled, until somebody unblocks it.
        Blocked = "blocked",
    }

    /// `Peer.Path`: the way that data takes to the peer now.
    PathKind {
        /// Not connected.
        None = "none",
        /// Directly from machine to machine.
        Direct = "direct",
        /// Through a relay (which cannot read it).
        Relay = "relay",
    }

    /// `Attachment.State`.
    AttachmentState {
        /// The peer is being asked, or the kernel has not set the device's configuration yet.
        Connecting = "connecting",
        /// In use here.
        Attached = "attached",
        /// The connection to the peer is lost. The device is still there, its requests wait, and it goes on when
        /// the connection is back.
        Reconnecting = "reconnecting",
        /// The peer is gone, and the device with it, or this daemon has just been started. It is attached again when the
        /// peer offers it again.
        Waiting = "waiting",
        /// Being given back.
        Detaching = "detaching",
        /// Over; the object is about to go away.
        Ended = "ended",
    }

    /// Why an attachment ended: `Attachment.LastError` and the last field of `Manager.RecentlyEnded`.
    EndReason {
        /// Somebody here asked for it.
        Detached = "detached",
        /// The device was unplugged from the peer.
        DeviceUnplugged = "device-unplugged",
        /// The peer does not share the device any more.
        ShareRevoked = "share-revoked",
        /// The peer's daemon was stopped.
        PeerStopped = "peer-stopped",
        /// The peer could not be reached for too long.
        PeerLost = "peer-lost",
        /// One of the two machines has forgotten the other.
        PeerForgotten = "peer-forgotten",
        /// This machine's kernel let go of the port.
        KernelDetached = "kernel-detached",
        /// The device stopped working on the peer's side.
        DeviceFailed = "device-failed",
        /// The peer sent what the protocol does not allow.
        ProtocolError = "protocol-error",
        /// This machine's daemon was stopped.
        Stopped = "stopped",
        /// One of the two machines has blocked the other.
        PeerBlocked = "peer-blocked",
        /// It presented an interface that it must not have here.
        NotAccepted = "not-accepted",
        /// The owner of the device has taken it back for now.
        TakenBack = "taken-back",
        /// The machine that has the device lends it for no longer at a time.
        SessionLimit = "session-limit",
        /// The hours are over at which it lends the device.
        HoursOver = "hours-over",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! round_trips {
        ($($name:ident)*) => {$(
            for &value in $name::ALL {
                assert_eq!($name::from_value(value.as_str()), value);
                assert!(
                    value.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                    "{value:?}"
                );
            }
            assert_eq!($name::from_value("no-such-value"), $name::Unknown);
            assert_eq!($name::from_value("unknown"), $name::Unknown);
        )*};
    }

    #[test]
    fn values_round_trip_and_unknown_ones_are_no_error() {
        round_trips!(
            ManagerState RelayMode DeviceState Exclusion Speed ShareState PeerState Trust PathKind
            AttachmentState EndReason
        );
    }
}
