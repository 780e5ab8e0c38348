//! PINs of shares: how one is read from whoever has typed it, what is kept of it, and how often it may be tried.

mod hash;
mod read;
mod tries;

pub use self::hash::PinHash;
pub(crate) use self::{hash::Hasher, read::read, tries::Tries};
