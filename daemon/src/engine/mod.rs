//! The one owner of state: an actor that everybody else asks.
//!
//! [`Engine::run`] takes one `Command` after the other, changes the state, and publishes
//! what others see of it ([`view`]). Nothing in it waits for the network or a device: what takes time runs
//! in tasks that report back with commands of their own. URBs never come here.

mod agreement;
mod attachments;
mod command;
mod derived;
mod devices;
mod discovered;
mod follow;
mod guests;
mod handle;
mod peers;
mod pins;
mod queue;
mod rules;
mod settings;
mod shares;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod tickets;
mod trust;
pub mod view;
mod wanted;

pub use self::{
    handle::{AttachWish, EngineHandle, ShareWish, TicketWish},
    state::Engine,
};
pub(crate) use self::{
    handle::{Claimed, Consent, Grant},
    state::{Inputs, now_usec},
    terms::Due,
};
