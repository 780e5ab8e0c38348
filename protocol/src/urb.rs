//! What the two sides tell each other about one URB.

use std::{fmt, ops::BitOr};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{error::FieldError, wire_enum::wire_enum};

/// Which way a URB's data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the importer to the device.
    Out,
    /// From the device to the importer.
    In,
}

/// Bit 7 of an endpoint address and of a setup packet's first byte: the data goes to the host.
const DIRECTION_IN: u8 = 0x80;

impl Direction {
    /// The direction of a URB on the lane of `endpoint`. On the control endpoint the setup packet tells
    /// it.
    pub const fn of(endpoint: u8, setup: Option<[u8; 8]>) -> Self {
        let tells = match setup {
            Some([request_type, ..]) => request_type,
            None => endpoint,
        };
        if tells & DIRECTION_IN == 0 { Self::Out } else { Self::In }
    }
}

/// Checks the address of a lane's endpoint: the number in the low four bits, the direction in bit 7, and
/// 0x00 for the control endpoint in both directions, because its URBs share one order.
pub(crate) const fn validate_endpoint(endpoint: u8) -> Result<(), FieldError> {
    if endpoint & 0x70 != 0 || endpoint == DIRECTION_IN {
        return Err(FieldError::Endpoint(endpoint));
    }
    Ok(())
}

/// Checks the sequence number of a URB.
pub(crate) const fn validate_seq(seq: u64) -> Result<(), FieldError> {
    match seq {
        0 => Err(FieldError::Sequence),
        _ => Ok(()),
    }
}

/// How a URB is to be carried out. Bits that this version does not know are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub struct UrbFlags(u8);

impl UrbFlags {
    /// An IN transfer that ends with less data than asked for is an error.
    pub const SHORT_NOT_OK: Self = Self(1 << 0);

    /// An OUT transfer whose length is a multiple of the packet size ends with an empty packet.
    pub const ZERO_PACKET: Self = Self(1 << 1);

    const KNOWN: u8 = Self::SHORT_NOT_OK.0 | Self::ZERO_PACKET.0;

    /// No flag.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// The flags in these bits, without those that this version does not know.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::KNOWN)
    }

    /// The bits on the wire.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `flags` are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for UrbFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for UrbFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A name without quotation marks.
        struct Name(&'static str);
        impl fmt::Debug for Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        let names = [(Self::SHORT_NOT_OK, "SHORT_NOT_OK"), (Self::ZERO_PACKET, "ZERO_PACKET")];
        let set = names.iter().filter(|(flag, _)| self.contains(*flag));
        f.debug_set().entries(set.map(|(_, name)| Name(name))).finish()
    }
}

impl<'de> Deserialize<'de> for UrbFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Self::from_bits)
    }
}

wire_enum! {
    /// How a URB ended.
    pub enum UrbStatus {
        /// Done, possibly with less data than asked for.
        Ok = 0 => "ok",
        /// A transfer error on the bus, or a status that this version has no name for.
        Failed = 1 => "failed",
        /// The endpoint stalled.
        Stalled = 2 => "stalled",
        /// It was unlinked before it was done.
        Cancelled = 3 => "cancelled",
        /// Less data than asked for, where [`UrbFlags::SHORT_NOT_OK`] was set.
        ShortNotOk = 4 => "short-not-ok",
        /// The device sent more than asked for.
        Overflow = 5 => "overflow",
        /// The host controller or the exporter's kernel gave up waiting.
        TimedOut = 6 => "timed-out",
        /// The device or the session is gone.
        Gone = 7 => "gone",
        /// The device has no such endpoint in its current setting.
        NoEndpoint = 8 => "no-endpoint",
        /// The exporter had no memory for it.
        NoMemory = 9 => "no-memory",
        /// The exporter's host stack refused it as malformed.
        Invalid = 10 => "invalid",
    }
    unknown => Failed
}

impl UrbStatus {
    /// The number that a Linux kernel reports for it, on any architecture that USB/IP runs on: 0 or a
    /// negative errno. It is written out here because the number goes to the importer's kernel, whatever
    /// the errnos of the system are that this is compiled for.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::NoEndpoint => -2,   // ENOENT
            Self::NoMemory => -12,    // ENOMEM
            Self::Invalid => -22,     // EINVAL
            Self::Stalled => -32,     // EPIPE
            Self::Failed => -71,      // EPROTO
            Self::Overflow => -75,    // EOVERFLOW
            Self::Cancelled => -104,  // ECONNRESET
            Self::Gone => -108,       // ESHUTDOWN
            Self::TimedOut => -110,   // ETIMEDOUT
            Self::ShortNotOk => -121, // EREMOTEIO
        }
    }
}

impl fmt::Display for UrbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_endpoint_has_one_lane() {
        let valid: Vec<u8> = (0..=255).filter(|&e| validate_endpoint(e).is_ok()).collect();
        let expected: Vec<u8> = (0x00..=0x0f).chain(0x81..=0x8f).collect();
        assert_eq!(valid, expected);
    }

    #[test]
    fn the_setup_packet_tells_the_direction_of_a_control_urb() {
        let get_descriptor = [0x80, 6, 0, 1, 0, 0, 18, 0];
        let set_address = [0x00, 5, 1, 0, 0, 0, 0, 0];
        assert_eq!(Direction::of(0, Some(get_descriptor)), Direction::In);
        assert_eq!(Direction::of(0, Some(set_address)), Direction::Out);
        assert_eq!(Direction::of(0x81, None), Direction::In);
        assert_eq!(Direction::of(0x01, None), Direction::Out);
    }

    #[test]
    fn unknown_flags_are_dropped() {
        let flags = UrbFlags::from_bits(0xff);
        assert_eq!(flags, UrbFlags::SHORT_NOT_OK | UrbFlags::ZERO_PACKET);
        assert_eq!(flags.bits(), 3);
        assert!(!UrbFlags::SHORT_NOT_OK.contains(flags));
        assert!(flags.contains(UrbFlags::empty()));
    }

    #[test]
    fn errnos_are_distinct() {
        let mut errnos: Vec<i32> = UrbStatus::ALL.iter().map(|status| status.errno()).collect();
        errnos.sort_unstable();
        errnos.dedup();
        assert_eq!(errnos.len(), UrbStatus::ALL.len());
        assert!(errnos.iter().all(|errno| (-133..=0).contains(errno)));
    }
}
