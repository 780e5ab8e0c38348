//! The service manager: readiness, status, watchdog, and the journal.

pub mod journal;
pub mod notify;
