//! This machine's secret key.

use std::{fs, io};

use iroh::SecretKey;

use super::{Store, StoreError, atomic};

impl Store {
    /// Reads the secret key, or makes one on the first start.
    pub fn identity(&self) -> Result<SecretKey, StoreError> {
        let path = self.root.join("identity.key");
        match fs::read(&path) {
            Ok(bytes) => {
                let bytes: [u8; 32] = bytes.try_into().map_err(|_| StoreError::BadIdentity { path })?;
                Ok(SecretKey::from_bytes(&bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = SecretKey::generate();
                atomic::write(&path, &key.to_bytes()).map_err(StoreError::io(&path))?;
                Ok(key)
            }
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }
}
