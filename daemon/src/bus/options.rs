//! The `a{sv}` at the end of each method. An unknown option is an error: one that is silently ignored
//! might have been meant to protect something.

use std::{collections::HashMap, os::fd::OwnedFd};

use p2pusb_dbus::{
    MethodError,
    names::{
        SHARE_LIFETIME_MAX_USEC, SHARE_LIFETIME_MIN_USEC,
        option::{ASK, BANDWIDTH, EXPIRES_USEC, GRACE, ONCE, PIN, SESSION_LIMIT, WINDOWS},
    },
};
use p2pusb_protocol::Pin;
use zbus::{Fd, OwnedVariant};

use crate::{
    config::Grace,
    engine::now_usec,
    error::Error,
    pin,
    policy::{Bandwidth, Follows, SessionLimit, Terms},
};

/// A grace time in seconds, as callers give it.
pub(super) fn grace(seconds: u32) -> Result<Grace, MethodError> {
    Grace::try_from(u64::from(seconds)).map_err(|wrong| Error::InvalidArgs(wrong).into())
}

/// A bandwidth as callers give it: 0 for no limit.
pub(super) fn bandwidth(bytes: u64) -> Result<Option<Bandwidth>, MethodError> {
    let limit = (bytes != 0).then(|| Bandwidth::try_from(bytes));
    limit.transpose().map_err(|wrong| Error::InvalidArgs(wrong).into())
}

/// Where a PIN is to be read from, once all the other options are known to be right.
pub(super) struct PinSource(OwnedFd);

impl PinSource {
    pub(super) async fn read(self) -> Result<Pin, MethodError> {
        Ok(pin::read(self.0).await?)
    }
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

    /// Takes a list of ids out, under which a device may come back.
    pub(super) fn take_follows(&mut self, name: &str) -> Result<Follows, MethodError> {
        let wrong = |why: String| MethodError::from(Error::InvalidArgs(format!("{name}: {why}")));
        self.take::<Vec<String>>(name)?.unwrap_or_default().try_into().map_err(wrong)
    }

    /// Takes the file descriptor out from which a PIN is to be read.
    pub(super) fn take_pin(&mut self) -> Result<Option<PinSource>, MethodError> {
        let Some(from) = self.take::<Fd<'static>>(PIN)? else { return Ok(None) };
        let from = OwnedFd::try_from(from).map_err(|error| Error::failed("the PIN can't be read", error))?;
        Ok(Some(PinSource(from)))
    }

    /// Takes the options about the time and the bandwidth out.
    pub(super) fn take_terms(&mut self) -> Result<Terms, MethodError> {
        let wrong = |why: String| MethodError::from(Error::InvalidArgs(why));
        let lifetime: Option<u64> = self.take(EXPIRES_USEC)?;
        if let Some(lifetime) = lifetime
            && !(SHARE_LIFETIME_MIN_USEC..=SHARE_LIFETIME_MAX_USEC).contains(&lifetime)
        {
            let (min, max) = (SHARE_LIFETIME_MIN_USEC, SHARE_LIFETIME_MAX_USEC);
            return Err(wrong(format!("{EXPIRES_USEC} is {lifetime}; it must be from {min} to {max}")));
        }
        let limit: Option<u32> = self.take(SESSION_LIMIT)?;
        Ok(Terms {
            expires: lifetime.map(|lifetime| now_usec().saturating_add(lifetime)),
            once: self.take(ONCE)?.unwrap_or(false),
            ask: self.take(ASK)?.unwrap_or(false),
            windows: self.take::<Vec<String>>(WINDOWS)?.unwrap_or_default().try_into().map_err(wrong)?,
            session_limit: limit.map(|limit| SessionLimit::try_from(u64::from(limit))).transpose().map_err(wrong)?,
            bandwidth: self.take::<u64>(BANDWIDTH)?.map(Bandwidth::try_from).transpose().map_err(wrong)?,
        })
    }

    /// Nothing must be left.
    pub(super) fn done(self) -> Result<(), MethodError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::InvalidArgs(format!("there is no option “{name}”")).into()),
        }
    }
}
