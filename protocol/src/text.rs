//! Texts that come from elsewhere and are shown to people.
//!
//! Device strings and labels end up on terminals and in desktops. A sender therefore sends only what
//! [`clip`] leaves, messages do that by themselves when they are encoded, and a receiver refuses anything
//! else.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::{
    error::FieldError,
    limits::{MAX_DEVICE_ID, MAX_TEXT},
};

/// The text as it may be sent: without control characters, and at most [`MAX_TEXT`] bytes long. It is cut
/// between two characters.
pub fn clip(text: &str) -> String {
    clipped(text).into_owned()
}

fn clipped(text: &str) -> Cow<'_, str> {
    let text: Cow<'_, str> = if text.chars().any(is_unprintable) {
        text.chars().filter(|&c| !is_unprintable(c)).collect::<String>().into()
    } else {
        text.into()
    };
    let end = text.floor_char_boundary(MAX_TEXT);
    match text {
        text if text.len() == end => text,
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// Characters that act instead of being seen: they move a terminal's cursor, break lines or reverse the
/// direction of what follows.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Serialises a text clipped.
pub(crate) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    clipped(text).serialize(serializer)
}

/// A borrowed text that is serialised clipped.
pub(crate) struct Clipped<'a>(pub(crate) &'a str);

impl Serialize for Clipped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self.0, serializer)
    }
}

/// Serialises the id of an offered device. One that is too long to be valid is cut, so that the frame
/// stays within its limits; the receiver knows no such device.
pub(crate) fn serialize_device_id<S: Serializer>(id: &str, serializer: S) -> Result<S::Ok, S::Error> {
    id[..id.floor_char_boundary(MAX_DEVICE_ID)].serialize(serializer)
}

/// A borrowed device id that is serialised like that.
pub(crate) struct DeviceId<'a>(pub(crate) &'a str);

impl Serialize for DeviceId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_device_id(self.0, serializer)
    }
}

/// Checks a text that was received.
pub(crate) fn validate(field: &'static str, text: &str) -> Result<(), FieldError> {
    validate_within(field, text, MAX_TEXT)
}

/// Checks a text with a limit of its own.
pub(crate) fn validate_within(field: &'static str, text: &str, limit: usize) -> Result<(), FieldError> {
    if text.len() > limit {
        let len = text.len();
        return Err(FieldError::TextTooLong { field, len, limit });
    }
    if text.chars().any(is_unprintable) {
        return Err(FieldError::Unprintable { field });
    }
    Ok(())
}

/// Checks the id of an offered device. It becomes an element of a D-Bus object path, which allows no
/// other characters.
pub(crate) fn validate_device_id(id: &str) -> Result<(), FieldError> {
    validate_within("id", id, MAX_DEVICE_ID)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if id.is_empty() || !id.bytes().all(allowed) {
        return Err(FieldError::DeviceId);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_good_text_is_left_alone() {
        assert!(matches!(clipped("USB-Sériel 串口"), Cow::Borrowed("USB-Sériel 串口")));
        let full = "x".repeat(MAX_TEXT);
        assert_eq!(clip(&full), full);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("{}é", "x".repeat(MAX_TEXT - 1));
        assert_eq!(clip(&text), "x".repeat(MAX_TEXT - 1));
    }

    #[test]
    fn what_acts_on_a_terminal_is_left_out() {
        assert_eq!(clip("Disk\u{1b}[2J\0\r\n\u{202e}ksiD\u{2028}"), "Disk[2JksiD");
    }

    #[test]
    fn device_ids_are_elements_of_object_paths() {
        assert_eq!(validate_device_id("0a1b_2C"), Ok(()));
        assert_eq!(validate_device_id(""), Err(FieldError::DeviceId));
        assert_eq!(validate_device_id("../peers"), Err(FieldError::DeviceId));
        assert_eq!(validate_device_id("é"), Err(FieldError::DeviceId));
        assert!(validate_device_id(&"a".repeat(MAX_DEVICE_ID)).is_ok());
        assert!(validate_device_id(&"a".repeat(MAX_DEVICE_ID + 1)).is_err());
    }

    proptest! {
        #[test]
        fn clipping_makes_any_text_valid(text in ".{0,200}", controls in any::<Vec<char>>()) {
            let text = text + &controls.into_iter().collect::<String>();
            let once = clip(&text);
            prop_assert_eq!(validate("text", &once), Ok(()));
            prop_assert_eq!(clip(&once), once);
        }
    }
}
