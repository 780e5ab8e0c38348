//! What the kernel asks a device before any driver sees it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{
    driver::{Driver, Urb},
    port::{Done, SimPort},
};

const GET_DEVICE: [u8; 8] = [0x80, 6, 0, 1, 0, 0, 18, 0];
const GET_CONFIGURATION_HEAD: [u8; 8] = [0x80, 6, 0, 2, 0, 0, 9, 0];
const SET_CONFIGURATION: [u8; 8] = [0x00, 9, 1, 0, 0, 0, 0, 0];

/// The steps, as `context` of their URBs.
const DEVICE: u64 = 0;
const HEAD: u64 = 1;
const WHOLE: u64 = 2;
const CONFIGURED: u64 = 3;

/// What is called with the device's descriptors when it is configured.
type Configured = Box<dyn FnOnce(Bytes) + Send>;

/// Asks for the descriptors and sets the first configuration.
pub(super) struct Enumerate {
    descriptors: Mutex<Vec<u8>>,
    configured: Mutex<Option<Configured>>,
}

impl Enumerate {
    /// Begins.
    pub(super) fn start(port: &SimPort, configured: impl FnOnce(Bytes) + Send + 'static) {
        let driver: Arc<dyn Driver> =
            Arc::new(Self { descriptors: Mutex::default(), configured: Mutex::new(Some(Box::new(configured))) });
        port.submit(Urb::control(GET_DEVICE, Bytes::new()).with_context(DEVICE), &driver);
    }
}

impl Driver for Enumerate {
    fn complete(&self, port: &SimPort, done: Done<'_>) {
        if done.status != 0 {
            return port.complain(format!("enumeration failed at step {}: {}", done.context, done.status));
        }
        let next = match done.context {
            DEVICE => {
                self.descriptors.lock().unwrap_or_else(PoisonError::into_inner).extend(done.data);
                Urb::control(GET_CONFIGURATION_HEAD, Bytes::new()).with_context(HEAD)
            }
            HEAD => {
                let mut setup = GET_CONFIGURATION_HEAD;
                setup[6..8].copy_from_slice(done.data.get(2..4).unwrap_or(&[9, 0]));
                Urb::control(setup, Bytes::new()).with_context(WHOLE)
            }
            WHOLE => {
                self.descriptors.lock().unwrap_or_else(PoisonError::into_inner).extend(done.data);
                Urb::control(SET_CONFIGURATION, Bytes::new()).with_context(CONFIGURED)
            }
            _ => {
                let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner).take();
                let descriptors = std::mem::take(&mut *self.descriptors.lock().unwrap_or_else(PoisonError::into_inner));
                if let Some(configured) = configured {
                    configured(descriptors.into());
                }
                return;
            }
        };
        port.submit(next, done.driver);
    }
}
