//! New settings, while everything runs.

use tracing::warn;

use super::Engine;
use crate::config::Config;

impl Engine {
    /// From now on these count. A session that runs keeps the grace time that it was begun with, unless its share has none
    /// of its own: that is the owner's to say at any time. Wrong settings are a problem for as long as they are wrong.
    pub(super) async fn apply(&mut self, config: Result<Box<Config>, String>) {
        let store = self.store.clone();
        self.problems = match tokio::task::spawn_blocking(move || store.problems()).await {
            Ok(Ok(problems)) => problems,
            Ok(Err(error)) => vec![error.to_string()],
            Err(error) => return warn!("new settings are not heeded: {error}"),
        };
        match config {
            Ok(config) => self.use_settings(*config).await,
            Err(wrong) => self.problems.push(format!("the settings stay as they were: {wrong}")),
        }
        self.publish_manager().await;
    }

    /// Rules are about what runs as well: a device that is never to be shared is taken back.
    async fn use_settings(&mut self, config: Config) {
        self.grace = config.session.grace;
        // What is attached stays; this is asked when a session begins.
        self.accept = config.attach.into();
        self.rules = config.rules;
        self.judge_all();
        self.derive_shares().await;
        for share in self.shares.values() {
            share.follow_settings(self.grace);
        }
        self.publish_all().await;
    }
}
