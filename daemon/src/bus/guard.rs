//! An attachment that lasts as long as somebody holds a file descriptor: a program that ends, however it ends, leaves
//! nothing attached.

use std::os::fd::OwnedFd;

use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::{self, Receiver},
};
use tracing::info;

use crate::{
    engine::EngineHandle,
    error::{Error, Result},
};

/// The end of a pipe for whoever wants the attachment. When its last copy is closed, the device is detached.
pub(super) fn guard(engine: EngineHandle, attachment: u32) -> Result<OwnedFd> {
    let failed = |error| Error::failed("there is no file descriptor to guard the attachment", error);
    let (held, ours) = pipe::pipe().map_err(failed)?;
    let held = held.into_blocking_fd().map_err(failed)?;
    tokio::spawn(async move {
        closed(ours).await;
        info!(P2PUSB_ATTACHMENT = attachment, "its guard is closed");
        // It may have ended before.
        let _ = engine.detach(attachment).await;
    });
    Ok(held)
}

/// Waits until nobody has the other end. What is written there says nothing.
async fn closed(mut pipe: Receiver) {
    let mut written = [0; 64];
    while matches!(pipe.read(&mut written).await, Ok(1..)) {}
}
