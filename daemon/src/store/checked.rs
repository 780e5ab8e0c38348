//! Names in state files that others build on: one that can't be is a damaged file.

use serde::{Deserialize as _, Deserializer, de::Error};

use crate::peer::PeerId;

/// The name of a peer.
pub(super) fn endpoint_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<PeerId>().map_err(D::Error::custom)?;
    Ok(text)
}

/// The name of a share, which is the name of its file and of its object as well.
pub(super) fn share_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err(D::Error::custom(format!("“{text}” is no share's id")))
    }
}
