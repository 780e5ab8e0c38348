//! Exporter sessions: a peer's lanes on one side, a local device on the other.
//!
//! `claims` knows all of them and lets them live: a claim outlives the connection over which it was made.
//! `session` is one at work, `lane` one of its endpoints, `pace` keeps it to a bandwidth.

mod claims;
mod lane;
mod pace;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    claims::{Claims, Line, Outgoing},
    pace::{Limit, Pace},
    session::ShareSession,
};
