//! The `a{sv}` at the end of each method. An unknown option is an error: one that is silently ignored
//! might have been meant to protect something.

use std::collections::HashMap;

use p2pusb_dbus::{MethodError, names::option::GRACE};
use zbus::OwnedVariant;

use crate::{config::Grace, error::Error};

/// A grace time in seconds, as callers give it.
pub(super) fn grace(seconds: u32) -> Result<Grace, MethodError> {
    Grace::try_from(u64::from(seconds)).map_err(|wrong| Error::InvalidArgs(wrong).into())
}

/// The options of one call.
pub(super) struct Options(HashMap<String, OwnedVariant>);

impl Options {
    pub(super) fn new(options: HashMap<String, OwnedVariant>) -> Self {
        Self(options)
    }

    /// Whether an option is there and true.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| bool::try_from(&**value) == Ok(true))
    }

    /// Takes one option out.
    pub(super) fn take<T: TryFrom<OwnedVariant>>(&mut self, name: &str) -> Result<Option<T>, MethodError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(value) => {
                let signature = value.value_signature().to_string();
                T::try_from(value).map(Some).map_err(|_| {
                    Error::InvalidArgs(format!("the option “{name}” has the wrong type ({signature})")).into()
                })
            }
        }
    }

    /// Takes the option `grace` out.
    pub(super) fn take_grace(&mut self) -> Result<Option<Grace>, MethodError> {
        self.take(GRACE)?.map(grace).transpose()
    }

    /// Nothing must be left.
    pub(super) fn done(self) -> Result<(), MethodError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::InvalidArgs(format!("there is no option “{name}”")).into()),
        }
    }
}
