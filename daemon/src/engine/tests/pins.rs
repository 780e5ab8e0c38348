//! PINs as the engine keeps them. How they are shown is in net/tests/pins.rs.

use std::fs;

use p2pusb_protocol::{Pin, Refusal};

use super::{Running, kept, peer};
use crate::{engine::Consent, error::Error, stop::Stop, store::ShareRecord};

const SHARE: &str = "00c0ffee";
const PIN: &str = "73905518";

fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

fn record(pin: bool) -> ShareRecord {
    ShareRecord {
        id: SHARE.to_owned(),
        stable_id: "stable".to_owned(),
        product: "Token".to_owned(),
        peers: Vec::new(),
        force: false,
        grace: None,
        terms: Default::default(),
        owner_uid: 0,
        paused: false,
        pin,
        follows: Default::default(),
        port: None,
    }
}

impl Running {
    async fn set_pin(&self, text: &str) -> crate::error::Result<()> {
        let hash = self.engine.hash_pin(pin(text)).await.unwrap();
        self.engine.set_pin(SHARE.to_owned(), hash).await
    }

    async fn show_pin(&self, text: &str) -> Result<(), Refusal> {
        self.engine.show_pin(peer(), SHARE.to_owned(), pin(text)).await.map_err(|(reason, _)| reason)
    }

    /// Why the peer can't have the share. With a right PIN that is because it is not plugged in.
    async fn claim(&self) -> Refusal {
        self.engine.claim(peer(), SHARE.to_owned(), Stop::default(), Consent::NotAsked).await.unwrap_err().0
    }
}

#[tokio::test]
async fn a_pin_and_who_has_shown_it_outlive_the_process_and_are_kept_apart_as_a_hash() {
    let (folder, store) = kept(&[]);
    store.save_share(&record(false)).unwrap();
    let running = Running::start(&store).await;
    assert!(!running.share(SHARE).await.pin_protected);
    assert_eq!(running.claim().await, Refusal::Gone);
    running.set_pin(PIN).await.unwrap();
    assert!(running.share(SHARE).await.pin_protected);
    assert_eq!(running.claim().await, Refusal::PinRequired);
    assert_eq!(running.show_pin("00000000").await, Err(Refusal::PinWrong));
    assert_eq!(running.show_pin(PIN).await, Ok(()));
    assert_eq!(running.claim().await, Refusal::Gone);
    running.engine.shutdown().await;

    assert_eq!(store.shares().unwrap(), [record(true)]);
    let kept = fs::read_to_string(folder.path().join("pins/00c0ffee.toml")).unwrap();
    assert!(kept.contains("$argon2id$") && kept.contains(&peer().to_string()) && !kept.contains(PIN), "{kept}");
    let running = Running::start(&store).await;
    assert_eq!(running.claim().await, Refusal::Gone);
    // Whoever has shown the one has not shown the other.
    running.set_pin("another one").await.unwrap();
    assert_eq!(running.claim().await, Refusal::PinRequired);
    assert_eq!(running.show_pin(PIN).await, Err(Refusal::PinWrong));
    assert_eq!(running.show_pin("another one").await, Ok(()));
    running.engine.wait_for_share(peer(), SHARE.to_owned(), false).await;
    assert_eq!(running.claim().await, Refusal::PinRequired);
    assert_eq!(store.pins().unwrap()[0].shown, [""; 0]);

    running.engine.clear_pin(SHARE.to_owned()).await.unwrap();
    assert_eq!(running.claim().await, Refusal::Gone);
    assert_eq!((store.pins().unwrap(), store.shares().unwrap()), (vec![], vec![record(false)]));
    // Nothing of it is left with the share.
    running.set_pin(PIN).await.unwrap();
    running.engine.revoke(SHARE.to_owned()).await.unwrap();
    assert_eq!((store.pins().unwrap(), store.shares().unwrap()), (vec![], vec![]));
    let gone = running.set_pin(PIN).await;
    assert!(matches!(gone, Err(Error::NotShared(_))), "{gone:?}");
}

#[tokio::test]
async fn a_share_whose_pin_is_lost_is_closed_until_it_has_another_one() {
    let (folder, store) = kept(&[]);
    store.save_share(&record(true)).unwrap();
    for damaged in [false, true] {
        if damaged {
            fs::write(folder.path().join("pins/00c0ffee.toml"), "share = '00c0ffee'\nhash = '1234'\n").unwrap();
        }
        let running = Running::start(&store).await;
        assert!(running.share(SHARE).await.pin_protected);
        assert_eq!(running.show_pin("1234").await, Ok(()), "it is not looked at");
        assert_eq!(running.claim().await, Refusal::PinLocked);
        running.engine.shutdown().await;
    }
    assert!(store.problems().unwrap()[0].contains("can't be used until it has another one"));
    let running = Running::start(&store).await;
    running.set_pin(PIN).await.unwrap();
    assert_eq!(running.show_pin(PIN).await, Ok(()));
    assert_eq!(running.claim().await, Refusal::Gone);
}

#[tokio::test]
async fn what_is_left_of_a_share_that_is_gone_is_removed() {
    let (_folder, store) = kept(&[]);
    store.save_share(&record(false)).unwrap();
    let running = Running::start(&store).await;
    running.set_pin(PIN).await.unwrap();
    running.engine.shutdown().await;
    // As when the machine lost its power between the two files.
    store.save_share(&record(false)).unwrap();
    let running = Running::start(&store).await;
    assert_eq!(running.claim().await, Refusal::Gone);
    assert_eq!(store.pins().unwrap(), []);
}
