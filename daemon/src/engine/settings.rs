//! New settings, while everything runs.

use super::Engine;
use crate::config::Config;

impl Engine {
    /// From now on these count. A session that runs keeps the grace time that it was begun with, unless its share has none
    /// of its own: that is the owner's to say at any time.
    pub(super) async fn apply(&mut self, config: Config) {
        self.grace = config.session.grace;
        // What is attached stays; this is asked when a session begins.
        self.accept = config.attach.into();
        for share in self.shares.values() {
            share.follow_settings(self.grace);
        }
        for share in self.shares.keys().cloned().collect::<Vec<_>>() {
            self.publish_share(&share).await;
        }
        for attachment in self.attachments.keys().copied().collect::<Vec<_>>() {
            self.publish_attachment(attachment).await;
        }
    }
}
