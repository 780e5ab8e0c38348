//! Why a connection was closed.

use std::fmt;

/// The application error code of a closed QUIC connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum CloseCode {
    /// Nothing is wrong, the connection is not needed any longer.
    Normal = 0,
    /// The side that closes does not know the other one.
    NotPaired = 1,
    /// The two sides speak different major versions.
    VersionMismatch = 2,
    /// The other side sent what the protocol does not allow.
    ProtocolViolation = 3,
    /// The daemon that closes is going to stop.
    ShuttingDown = 4,
    /// A newer connection between the same two daemons has taken this one's place.
    Replaced = 5,
    /// The side that closes has been told to forget the other one.
    Forgotten = 6,
    /// The side that closes has been told to have nothing to do with the other one.
    Blocked = 7,
}

impl CloseCode {
    /// Every code, in the order of the numbers.
    pub const ALL: &'static [Self] = &[
        Self::Normal,
        Self::NotPaired,
        Self::VersionMismatch,
        Self::ProtocolViolation,
        Self::ShuttingDown,
        Self::Replaced,
        Self::Forgotten,
        Self::Blocked,
    ];

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The code with that number, `None` for one that a newer version may have added.
    pub fn from_u64(code: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| u64::from(known.code()) == code)
    }

    /// A part of a sentence for people, which says what the side that closed meant: "the peer …".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "closed the connection",
            Self::NotPaired => "is not paired with this machine",
            Self::VersionMismatch => "speaks another version of the protocol",
            Self::ProtocolViolation => "received something that the protocol does not allow",
            Self::ShuttingDown => "is shutting down",
            Self::Replaced => "uses a newer connection",
            Self::Forgotten => "has forgotten this machine",
            Self::Blocked => "has blocked this machine",
        }
    }
}

impl From<CloseCode> for u32 {
    fn from(code: CloseCode) -> Self {
        code.code()
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_they_have_always_been() {
        let numbers: Vec<u32> = CloseCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn numbers_lead_back_to_their_codes() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_u64(code.code().into()), Some(*code));
        }
        assert_eq!(CloseCode::from_u64(8), None);
        // Only the lower half is equal to a known code.
        assert_eq!(CloseCode::from_u64(1 << 32), None);
    }
}
