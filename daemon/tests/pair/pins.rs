//! A device that asks for a PIN, from one daemon to the other.

use std::time::Duration;

use p2pusb_protocol::Pin;
use p2pusbd::{error::Error, sim::SimAttachment};

use crate::{Pair, everything};

fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

impl Pair {
    /// Has the share ask for a PIN; the share's id.
    async fn ask_for(&self, text: &str) -> String {
        let shown = self.importer.shown.borrow();
        let share = shown.remote_devices.values().next().map(|device| device.remote_id.clone()).unwrap();
        drop(shown);
        let hash = self.exporter.engine.hash_pin(pin(text)).await.unwrap();
        self.exporter.engine.set_pin(share.clone(), hash).await.unwrap();
        share
    }

    async fn try_with(&self, text: Option<&str>) -> Result<SimAttachment, Error> {
        self.importer.attach_with(self.exporter.id, "everything", text.map(pin)).await
    }
}

#[tokio::test]
async fn a_pin_is_asked_for_once_and_again_when_somebody_has_detached() {
    let mut pair = Pair::start(everything()).await;
    let share = pair.ask_for("73905518").await;
    // Whoever has the device keeps it.
    assert!(!pair.attached.port.has_ended());
    pair.importer.engine.detach(pair.attached.number).await.unwrap();
    let asked = pair.try_with(None).await.unwrap_err();
    assert!(matches!(asked, Error::PinRequired(_)), "{asked}");
    let wrong = pair.try_with(Some("73905519")).await.unwrap_err();
    assert!(matches!(wrong, Error::PinWrong { .. }) && wrong.to_string().contains("2 tries are left"), "{wrong}");
    pair.attached = pair.try_with(Some("73905518")).await.unwrap();
    pair.importer.engine.detach(pair.attached.number).await.unwrap();

    let asked = pair.try_with(None).await.unwrap_err();
    assert!(matches!(asked, Error::PinRequired(_)), "{asked}");
    for left in ["2 tries are left", "1 try is left", "looked at in 60 seconds"] {
        let wrong = pair.try_with(Some("0000")).await.unwrap_err();
        assert!(matches!(wrong, Error::PinWrong { .. }) && wrong.to_string().contains(left), "{wrong}");
    }
    let locked = pair.try_with(Some("73905518")).await.unwrap_err();
    assert!(matches!(locked, Error::PinLocked { .. }), "{locked}");
    pair.exporter.engine.clear_pin(share).await.unwrap();
    pair.attached = pair.try_with(None).await.unwrap();
    pair.stop().await;
}

#[tokio::test]
async fn what_comes_back_by_itself_is_not_asked_again_and_what_has_another_pin_is() {
    let mut pair = Pair::start(everything()).await;
    let share = pair.ask_for("73905518").await;
    pair.importer.engine.detach(pair.attached.number).await.unwrap();
    pair.attached = pair.try_with(Some("73905518")).await.unwrap();
    // Taken back and given again, as when it is pulled out and plugged in.
    let state = |pair: &Pair| {
        pair.importer.shown.borrow().attachments.get(&pair.attached.number).map(|attachment| attachment.state)
    };
    for paused in [true, false] {
        pair.exporter.engine.set_share_paused(share.clone(), paused).await.unwrap();
        let expected = if paused { "waiting" } else { "attached" };
        let number = pair.attached.number;
        let there = pair.importer.shows(|shown| shown.attachments.get(&number).is_some_and(|a| a.state == expected));
        tokio::time::timeout(Duration::from_secs(30), there).await.unwrap();
    }
    assert_eq!(state(&pair), Some("attached"));
    // With another PIN, it does not come back by itself.
    pair.ask_for("00000000").await;
    assert_eq!(state(&pair), Some("attached"));
    for paused in [true, false] {
        pair.exporter.engine.set_share_paused(share.clone(), paused).await.unwrap();
        let number = pair.attached.number;
        let there = pair.importer.shows(|shown| match shown.attachments.get(&number) {
            Some(attachment) => paused && attachment.state == "waiting",
            None => !paused,
        });
        tokio::time::timeout(Duration::from_secs(30), there).await.unwrap();
    }
    pair.attached = pair.try_with(Some("00000000")).await.unwrap();
    pair.stop().await;
}
