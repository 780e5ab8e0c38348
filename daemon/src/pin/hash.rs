//! What is kept of a PIN: a hash that takes time and memory to compute, for whoever tries all PINs as well.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use p2pusb_protocol::Pin;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use crate::error::{Error, Result};

/// Memory for a hash, in KiB: what OWASP asks for at least …
const MEMORY_KIB: u32 = 19 * 1024;
/// … with so many passes over it …
const PASSES: u32 = 2;
/// … in one lane.
const LANES: u32 = 1;
/// Most memory that a hash may ask for that was kept, in KiB: a later release may have made it.
const MEMORY_MAX_KIB: u32 = 64 * 1024;
/// PINs that may wait to be hashed. One is at a time, so this is some seconds.
const MAX_WAITING: usize = 32;

/// The argon2id hash of a PIN, as a PHC string. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PinHash(String);

impl fmt::Debug for PinHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinHash(..)")
    }
}

/// One that can't be is a damaged file.
impl<'de> Deserialize<'de> for PinHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash = PasswordHash::new(&text).map_err(D::Error::custom)?;
        let params = Params::try_from(&hash).map_err(D::Error::custom)?;
        if hash.algorithm != Algorithm::Argon2id.ident() || params.m_cost() > MEMORY_MAX_KIB || hash.hash.is_none() {
            return Err(D::Error::custom("this is no argon2id hash of a PIN"));
        }
        Ok(Self(text))
    }
}

/// Hashes PINs, one at a time. Clones wait for each other.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// The right to have one PIN hashed, in its turn.
#[derive(Debug)]
pub(crate) struct Place {
    turn: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_WAITING)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Hasher {
    /// A place among those who wait, where there is one.
    pub(crate) fn place(&self) -> Result<Place> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::LimitReached { limit: MAX_WAITING, what: "PINs to be looked at" })?;
        Ok(Place { turn: self.turn.clone(), _place: place })
    }
}

impl Place {
    /// The hash of a new PIN.
    pub(crate) async fn hash(self, pin: Pin) -> Result<PinHash> {
        let hashed = self.compute(move |argon2| argon2.hash_password(pin.as_bytes())).await?;
        hashed.map(|hash| PinHash(hash.to_string())).map_err(|error| Error::failed("the PIN can't be hashed", error))
    }

    /// Whether a PIN is the one that was hashed. The time that it takes does not tell how much of it is right.
    pub(crate) async fn verify(self, pin: Pin, hash: PinHash) -> Result<bool> {
        match self.compute(move |argon2| argon2.verify_password(pin.as_bytes(), hash.0.as_str())).await? {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(Error::failed("the PIN can't be looked at", error)),
        }
    }

    async fn compute<T: Send + 'static>(self, what: impl FnOnce(Argon2<'static>) -> T + Send + 'static) -> Result<T> {
        let failed = |error| Error::failed("the PIN can't be looked at", error);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| failed(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let turn = self.turn.clone().acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let computed = spawn_blocking(move || {
            // Kept until it is done, also when nobody waits for it any longer.
            let _turn = turn;
            let computed = what(argon2);
            give_memory_back();
            computed
        });
        computed.await.map_err(|error| failed(error.to_string()))
    }
}

/// Gives the memory of a hash back to the kernel. Once it has given a large piece back, the allocator of glibc keeps pieces
/// of that size for the next time.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim() takes the allocator's own locks, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tests::resident;

    fn pin(text: &str) -> Pin {
        Pin::new(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_pin_is_known_by_its_hash_which_does_not_show_it_and_takes_no_memory_for_good() {
        let hasher = Hasher::default();
        let hash = hasher.place().unwrap().hash(pin("73905518")).await.unwrap();
        let again = hasher.place().unwrap().hash(pin("73905518")).await.unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        let before = resident();
        for (text, right) in [("73905518", true), ("73905519", false), ("7390551", false), ("73905518", true)] {
            assert_eq!(hasher.place().unwrap().verify(pin(text), hash.clone()).await.unwrap(), right, "{text}");
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 8 << 20, "{grown} bytes more than before");
        assert_eq!(format!("{hash:?}"), "PinHash(..)");
    }

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let hasher = Hasher::default();
        let places: Vec<_> = (0..MAX_WAITING).map(|_| hasher.place().unwrap()).collect();
        assert!(matches!(hasher.place(), Err(Error::LimitReached { limit: MAX_WAITING, .. })));
        drop(places);
        hasher.place().unwrap();
    }

    #[test]
    fn a_hash_that_can_not_be_is_damaged() {
        #[derive(Debug, Deserialize)]
        struct File {
            hash: PinHash,
        }
        let read = |hash: &str| toml::from_str::<File>(&format!("hash = '{hash}'"));
        let good = "$argon2id$v=19$m=19456,t=2,p=1$bXNhbHRtc2FsdG1zYWx0$qMfXbRuCDaBWyGNsbzY4G5hTMPWvo5rCYhLHHjcmTmM";
        assert_eq!(read(good).unwrap().hash.0, good);
        for (from, to) in [("argon2id", "argon2i"), ("m=19456", "m=4194304"), ("$argon2id", "argon2id"), (good, "1234")]
        {
            read(&good.replace(from, to)).unwrap_err();
        }
        // Without the hash itself.
        read(good.rsplit_once('$').unwrap().0).unwrap_err();
    }
}
