//! sd_notify(3): what the service manager is told. Without one, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::{error, warn};

use crate::engine::EngineHandle;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("the service manager can't be told: {error}");
    }
}

/// Everything is up.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The settings are being read anew; [`ready`] ends that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!("the service manager can't be told: {error}"),
    }
}

/// The end has begun.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("giving every device back")]);
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

/// Tells the watchdog that the engine is alive, by asking it. A timer alone would prove nothing.
pub async fn watchdog(engine: EngineHandle) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut interval = tokio::time::interval(limit / 2);
    loop {
        interval.tick().await;
        match tokio::time::timeout(answer_within(limit), engine.ping()).await {
            Ok(true) => notify(&[NotifyState::Watchdog]),
            Ok(false) => return,
            Err(_) => error!("the engine does not answer; the watchdog will see to it"),
        }
    }
}

fn answer_within(limit: Duration) -> Duration {
    limit / 4
}
