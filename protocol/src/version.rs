//! The versions of this protocol, and what follows from them.

/// ALPN of the connections that carry sessions. It names the major version, so two daemons of
/// different major versions do not even agree on a connection.
pub const ALPN: &[u8] = b"p2pusb/1";

/// ALPN of the connections by which machines are paired. It is apart from [`ALPN`] because it is the only one
/// on which a stranger is listened to.
pub const PAIRING_ALPN: &[u8] = b"p2pusb-pair/1";

/// Major version. Two daemons understand each other only where it is the same.
pub const MAJOR: u16 = 1;

/// Minor version. It grows when messages or fields are added; both sides use what both know.
///
/// * 1: `Ending`, and the end reasons `SessionLimit` and `HoursOver`.
/// * 2: pairing by agreement; `Asking`, `Pin`, and the refusals `PinRequired`, `PinWrong`, `PinLocked` and `Declined`.
pub const MINOR: u16 = 2;

/// The first minor version that knows PINs.
pub const PIN_MINOR: u16 = 2;
