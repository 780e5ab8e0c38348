//! How a session is told to end, and why.

use std::sync::{Arc, OnceLock};

use p2pusb_protocol::EndReason;
use tokio_util::sync::CancellationToken;

/// Ends one session. Clones end the same one; the first reason stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<EndReason>>,
}

impl Stop {
    /// Asks the session to end. Later calls change nothing.
    pub(crate) fn stop(&self, reason: EndReason) {
        // The first one stands: a session that the user detached did not end because its port closed.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Whether somebody has asked.
    #[cfg(test)]
    pub(crate) fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until somebody has asked.
    pub(crate) async fn stopped(&self) -> EndReason {
        self.token.cancelled().await;
        self.reason.get().copied().unwrap_or(EndReason::Stopped)
    }
}
