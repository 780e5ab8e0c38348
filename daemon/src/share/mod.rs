//! Exporter sessions: a peer's lanes on one side, a local device on the other.

mod session;

pub(crate) use session::ShareSession;
