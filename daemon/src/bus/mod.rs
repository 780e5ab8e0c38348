//! The daemon on the system bus: `org.p2pusb1`.
//!
//! Nothing is decided here. Methods ask whether the caller may (`context`) and pass the wish to the
//! engine; properties show the engine's last view (`mirror`). What each member means is written in
//! `dbus-interfaces/`.

mod agent_manager;
pub(crate) mod agents;
mod attachment;
#[cfg(test)]
mod conformance;
mod context;
mod device;
pub mod error;
mod guard;
mod manager;
mod mirror;
mod options;
mod paths;
mod peer;
mod remote_device;
mod share;
mod shown;

pub(crate) use self::{context::Context, mirror::serve};
