//! This machine's secret key.

use std::{fs, io};

use iroh::SecretKey;

use super::{Store, StoreError, atomic};

impl Store {
    /// Reads the secret key, or makes one on the first start. A damaged one is no key any more: a new one is made, which
    /// no peer knows, and that is reported.
    pub fn identity(&self) -> Result<SecretKey, StoreError> {
        let path = self.root.join("identity.key");
        match fs::read(&path) {
            Ok(bytes) => {
                if let Ok(bytes) = <[u8; 32]>::try_from(bytes) {
                    return Ok(SecretKey::from_bytes(&bytes));
                }
                self.set_aside(&path, "it does not hold a secret key of 32 bytes")?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::Io { path, source }),
        }
        let key = SecretKey::generate();
        atomic::write(&path, &key.to_bytes()).map_err(StoreError::io(&path))?;
        Ok(key)
    }
}
