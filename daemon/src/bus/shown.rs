//! The view that an object shows.

use std::sync::{Arc, PoisonError, RwLock};

/// A view that can be replaced while methods of its object are running: a call that takes its time must not
/// keep anybody from reading the object's properties, nor from changing them.
#[derive(Debug)]
pub(super) struct Shown<V>(Arc<RwLock<Arc<V>>>);

impl<V> Clone for Shown<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Shown<V> {
    pub(super) fn new(view: V) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(view))))
    }

    /// The view as it is now.
    pub(super) fn now(&self) -> Arc<V> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, view: V) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }
}
