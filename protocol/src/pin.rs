//! PINs: what a person has to know in order to use a device, beside having a paired machine.

use std::{fmt, hint::black_box};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    error::FieldError,
    limits::{MAX_PIN, MIN_PIN},
    session::SessionId,
    text,
};

/// A PIN as it was typed: from [`MIN_PIN`] to [`MAX_PIN`] bytes of UTF-8 without control characters. It is not shown by
/// `Debug`, is overwritten when it is dropped, and comparing two takes the same time wherever they differ.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Takes over a text as a PIN.
    ///
    /// # Errors
    ///
    /// [`FieldError::PinLength`] and [`FieldError::Unprintable`].
    pub fn new(text: String) -> Result<Self, FieldError> {
        let pin = Self(Zeroizing::new(text));
        pin.validate()?;
        Ok(pin)
    }

    /// Its bytes, to be looked at and not to be kept.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn validate(&self) -> Result<(), FieldError> {
        match self.0.len() {
            MIN_PIN..=MAX_PIN => text::validate_within("pin", &self.0, MAX_PIN),
            len => Err(FieldError::PinLength { len }),
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.as_bytes(), other.as_bytes());
        let difference =
            ours.iter().zip(theirs).fold(0, |difference, (ours, theirs)| black_box(difference | (ours ^ theirs)));
        ours.len() == theirs.len() && difference == 0
    }
}

impl Eq for Pin {}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Checked with the rest of the message.
impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The PIN for a session that is asked for next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownPin {
    /// The session that [`Attach`](crate::Attach) is going to start.
    pub session: SessionId,
    /// What the device's user has typed.
    pub pin: Pin,
}

/// Reads a PIN from bytes that somebody has typed or written, and overwrites them. One line feed at the end does not
/// belong to it.
///
/// # Errors
///
/// [`FieldError::NotText`], and those of [`Pin::new`].
pub fn pin_from_bytes(mut bytes: Vec<u8>) -> Result<Pin, FieldError> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    match String::from_utf8(bytes) {
        Ok(text) => Pin::new(text),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(FieldError::NotText { field: "pin" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_neither_too_short_nor_too_long_nor_does_it_act() {
        for good in ["1234", "née", &"7".repeat(MAX_PIN), "two words"] {
            assert_eq!(Pin::new(good.to_owned()).unwrap().as_bytes(), good.as_bytes());
        }
        for (len, text) in [(0, String::new()), (3, "123".to_owned()), (65, "7".repeat(MAX_PIN + 1))] {
            assert_eq!(Pin::new(text), Err(FieldError::PinLength { len }));
        }
        for text in ["12\t34", "1234\r", "1234\u{202e}"] {
            assert_eq!(Pin::new(text.to_owned()), Err(FieldError::Unprintable { field: "pin" }));
        }
    }

    #[test]
    fn one_line_feed_at_the_end_is_none_of_it() {
        let read = |bytes: &[u8]| pin_from_bytes(bytes.to_vec());
        assert_eq!(read(b"1234\n"), read(b"1234"));
        assert_eq!(read(b"1234\n\n"), Err(FieldError::Unprintable { field: "pin" }));
        assert_eq!(read(b"123\n"), Err(FieldError::PinLength { len: 3 }));
        assert_eq!(read(b"12\xff34"), Err(FieldError::NotText { field: "pin" }));
    }

    #[test]
    fn pins_are_compared_and_not_shown() {
        let pin = |text: &str| Pin::new(text.to_owned()).unwrap();
        assert_eq!(pin("1234"), pin("1234"));
        for other in ["0234", "1235", "12345", "1234 "] {
            assert_ne!(pin("1234"), pin(other));
        }
        let shown = ShownPin { session: SessionId(7), pin: pin("73905518") };
        assert_eq!(format!("{shown:?}"), "ShownPin { session: SessionId(7), pin: Pin(..) }");
    }
}
