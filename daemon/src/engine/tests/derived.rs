//! Shares that follow from udev properties.

use p2pusb_protocol::{EndReason, Refusal, Speed};

use super::{Running, kept, peer};
use crate::{
    engine::{
        Consent, ShareWish,
        view::{Object, ShareView},
    },
    error::Error,
    stop::Stop,
    usb::{BusPath, DeviceInfo, DeviceKind, HotplugEvent, sim::info},
};

fn at(bus_path: &str) -> BusPath {
    bus_path.parse().unwrap()
}

/// A device with these udev properties.
fn device(bus_path: &str, properties: &[(&str, &str)]) -> DeviceInfo {
    let mut info = info(at(bus_path), DeviceKind::Ordinary, "Disk".to_owned(), Speed::High, Default::default());
    info.properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    info
}

/// One of those that all have the same serial number.
fn twin(bus_path: &str) -> DeviceInfo {
    device(bus_path, &[("P2PUSB_SHARE", "1")]).with_serial("000000")
}

impl Running {
    async fn plug(&self, bus_path: &str, properties: &[(&str, &str)]) {
        self.engine.hotplug(HotplugEvent::Bound(device(bus_path, properties))).await;
    }

    async fn change(&self, bus_path: &str, properties: &[(&str, &str)]) {
        self.engine.hotplug(HotplugEvent::Changed(device(bus_path, properties))).await;
    }

    async fn unplug(&self, bus_path: &str) {
        self.engine.hotplug(HotplugEvent::Removed(at(bus_path))).await;
    }

    async fn shares(&self) -> Vec<ShareView> {
        self.engine.sync().await;
        let share = |object: &Object| match object {
            Object::Share(view) => Some(view.clone()),
            _ => None,
        };
        self.seen.borrow().values().filter_map(share).collect()
    }

    /// The only share.
    async fn only(&self) -> ShareView {
        let mut shares = self.shares().await;
        assert_eq!(shares.len(), 1, "{shares:?}");
        shares.remove(0)
    }
}

#[tokio::test]
async fn a_device_with_the_property_is_shared_with_the_same_id_each_time_and_nothing_is_kept() {
    let (_folder, store) = kept(&[]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let running = Running::start(&store).await;
        for _ in 0..2 {
            running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
            let share = running.only().await;
            assert_eq!((share.origin, share.state, share.owner_uid), ("udev", "available", 0));
            assert_eq!((share.peers.len(), share.names.as_slice().len()), (0, 0));
            ids.push(share.id);
            running.unplug("1-1").await;
            assert_eq!(running.shares().await.len(), 0);
        }
        assert_eq!(store.shares().unwrap(), []);
        running.engine.shutdown().await;
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // Another machine has another key, and so another id.
    let (_folder, other) = kept(&[]);
    let running = Running::start(&other).await;
    running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
    assert_ne!(running.only().await.id, ids[0]);
}

#[tokio::test]
async fn only_the_value_1_shares_and_what_is_to_be_ignored_is_not_shared() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    for properties in [
        &[("P2PUSB_SHARE", "0")][..],
        &[("P2PUSB_SHARE", "yes")],
        &[("P2PUSB_PEERS", "workshop")],
        &[("P2PUSB_SHARE", "1"), ("P2PUSB_IGNORE", "1")],
    ] {
        running.plug("1-1", properties).await;
        assert_eq!(running.shares().await.len(), 0, "{properties:?}");
    }
}

#[tokio::test]
async fn the_property_is_followed_while_the_device_is_plugged_in_and_in_use() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[]).await;
    assert_eq!(running.shares().await.len(), 0);
    running.change("1-1", &[("P2PUSB_SHARE", "1")]).await;
    let id = running.only().await.id;
    let stop = Stop::default();
    running.engine.claim(peer(), id.clone(), stop.clone(), Consent::NotAsked).await.unwrap();
    assert_eq!(running.only().await.claimed_by, Some(peer()));

    // Nothing has changed for this peer.
    running.change("1-1", &[("P2PUSB_SHARE", "1"), ("P2PUSB_PEERS", "workshop")]).await;
    assert_eq!(running.only().await.peers, [peer()]);
    assert!(!stop.is_stopped());

    // The share ends with its claim, and is not offered in between.
    running.change("1-1", &[]).await;
    assert_eq!(stop.stopped().await, EndReason::ShareRevoked);
    assert_eq!(running.only().await.state, "in-use");
    assert!(running.engine.offers().borrow().all.is_empty());
    running.engine.claim_ended(id.clone(), EndReason::ShareRevoked).await;
    assert_eq!(running.shares().await.len(), 0);
    let refused = running.engine.claim(peer(), id, Stop::default(), Consent::NotAsked).await.unwrap_err();
    assert_eq!(refused.0, Refusal::NotShared);
}

#[tokio::test]
async fn a_device_that_is_back_before_its_claim_has_ended_is_shared_when_it_has() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
    let id = running.only().await.id;
    let stop = Stop::default();
    running.engine.claim(peer(), id.clone(), stop.clone(), Consent::NotAsked).await.unwrap();
    running.unplug("1-1").await;
    assert_eq!(stop.stopped().await, EndReason::DeviceUnplugged);
    running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
    running.engine.claim_ended(id.clone(), EndReason::DeviceUnplugged).await;
    let share = running.only().await;
    assert_eq!((share.id, share.state), (id, "available"));
}

#[tokio::test]
async fn a_claim_of_a_peer_that_is_not_named_any_longer_ends() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
    let stop = Stop::default();
    let id = running.only().await.id;
    running.engine.claim(peer(), id.clone(), stop.clone(), Consent::NotAsked).await.unwrap();
    running.change("1-1", &[("P2PUSB_SHARE", "1"), ("P2PUSB_PEERS", "desk")]).await;
    assert_eq!(stop.stopped().await, EndReason::ShareRevoked);
    running.engine.claim_ended(id, EndReason::ShareRevoked).await;
    let share = running.only().await;
    assert_eq!((share.state, share.names.as_slice()), ("available", &["desk".to_owned()][..]));
}

#[tokio::test]
async fn a_named_peer_counts_while_it_is_paired_and_nobody_else_does() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    let audience =
        || running.engine.offers().borrow().all.iter().map(|offer| offer.audience.clone()).collect::<Vec<_>>();
    for (names, audience_now) in [
        ("workshop desk", vec![peer()]),
        (&peer().to_string()[..8], vec![peer()]),
        ("desk,laptop", vec![]),
        // Names that say nothing are not the absence of names.
        (", ,", vec![]),
    ] {
        running.plug("1-1", &[("P2PUSB_SHARE", "1"), ("P2PUSB_PEERS", names)]).await;
        let share = running.only().await;
        assert_eq!(share.peers, audience_now, "{names}");
        assert_eq!(audience(), [Some(audience_now)], "{names}");
    }
    running.plug("1-1", &[("P2PUSB_SHARE", "1"), ("P2PUSB_PEERS", "workshop")]).await;
    let id = running.only().await.id;
    running.engine.set_label(peer(), "garage".to_owned()).await.unwrap();
    running.engine.sync().await;
    assert_eq!(audience(), [Some(vec![])]);
    running.engine.set_label(peer(), "Workshop".to_owned()).await.unwrap();
    running.engine.sync().await;
    assert_eq!(audience(), [Some(vec![peer()])]);
    running.engine.forget(peer()).await.unwrap();
    running.engine.sync().await;
    assert_eq!(audience(), [Some(vec![])]);
    let refused = running.engine.claim(peer(), id, Stop::default(), Consent::NotAsked).await.unwrap_err();
    assert_eq!(refused.0, Refusal::NotShared);
}

#[tokio::test]
async fn a_derived_share_is_not_changed_by_hand() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
    let id = running.only().await.id;
    let hash = running.engine.hash_pin(p2pusb_protocol::Pin::new("1234".to_owned()).unwrap()).await.unwrap();
    let answers = [
        running.engine.set_pin(id.clone(), hash).await,
        running.engine.clear_pin(id.clone()).await,
        running.engine.revoke(id.clone()).await,
        running.engine.set_share_peers(id.clone(), vec![peer()]).await,
        running.engine.set_share_grace(id.clone(), 5.try_into().unwrap()).await,
        running.engine.share_device(at("1-1"), ShareWish::default(), 0).await.map(drop),
    ];
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::ShareDerived { .. }), "{error:?}");
        let said = error.to_string();
        for part in ["Disk", "P2PUSB_SHARE", "udevadm trigger", "1-1"] {
            assert!(said.contains(part), "{said}");
        }
    }
    assert_eq!(running.only().await.state, "available");
}

const KEYS: &str = "[[rule]]\nlabel = \"keys\"\naction = \"never-share\"\nwith-interface = \"ff:*:*\"\n";
const DISKS: &str = "[[rule]]\nlabel = \"disks\"\naction = \"share\"\nname = \"D*\"\npeers = [\"workshop\"]\n";

impl Running {
    async fn apply(&self, settings: &str) {
        self.engine.apply(Ok(toml::from_str(settings).unwrap())).await;
    }
}

#[tokio::test]
async fn a_rule_shares_what_it_is_about_for_as_long_as_it_is_there() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[]).await;
    running.apply(DISKS).await;
    let share = running.only().await;
    assert_eq!((share.origin, share.state, &share.peers[..]), ("rule", "available", &[peer()][..]));
    let error = running.engine.revoke(share.id.clone()).await.unwrap_err().to_string();
    assert!(error.contains("the rule “disks”") && error.contains("p2pusb reload"), "{error}");

    // udev is about this device, and the same share.
    running.change("1-1", &[("P2PUSB_SHARE", "1")]).await;
    let by_udev = running.only().await;
    assert_eq!((by_udev.origin, by_udev.peers.len(), &by_udev.id), ("udev", 0, &share.id));
    running.change("1-1", &[]).await;
    assert_eq!(running.only().await.origin, "rule");
    running.apply("").await;
    assert_eq!(running.shares().await.len(), 0);
}

#[tokio::test]
async fn never_share_wins_over_udev_rules_commands_and_claims() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[("P2PUSB_SHARE", "1")]).await;
    running.plug("1-2", &[]).await;
    let id = running.engine.share_device(at("1-2"), ShareWish::default(), 0).await.unwrap();
    let stop = Stop::default();
    running.engine.claim(peer(), id.clone(), stop.clone(), Consent::NotAsked).await.unwrap();
    assert_eq!(running.shares().await.len(), 2);

    running.apply(&format!("{DISKS}{KEYS}")).await;
    assert_eq!(stop.stopped().await, EndReason::ShareRevoked);
    running.engine.claim_ended(id.clone(), EndReason::ShareRevoked).await;
    // Somebody's own share is still there, and offers nothing.
    let share = running.only().await;
    assert_eq!((&share.id, share.origin, share.device), (&id, "person", None));
    assert!(running.engine.offers().borrow().all.is_empty());
    running.engine.claim(peer(), id, Stop::default(), Consent::NotAsked).await.unwrap_err();
    running.plug("1-3", &[]).await;
    let error = running.engine.share_device(at("1-3"), ShareWish { force: true, ..ShareWish::default() }, 0).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::DeviceExcluded { .. }), "{error:?}");
    assert!(error.to_string().contains("the rule “keys” says never-share"), "{error}");

    running.apply("").await;
    assert_eq!(running.shares().await.len(), 2);
}

#[tokio::test]
async fn what_somebody_has_shared_comes_first_until_it_is_revoked() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug("1-1", &[]).await;
    let wish = ShareWish { peers: vec![peer()], ..ShareWish::default() };
    let id = running.engine.share_device(at("1-1"), wish, 1000).await.unwrap();
    running.change("1-1", &[("P2PUSB_SHARE", "1")]).await;
    let share = running.only().await;
    assert_eq!((&share.id, share.origin, share.owner_uid), (&id, "person", 1000));
    running.engine.revoke(id).await.unwrap();
    assert_eq!(running.only().await.origin, "udev");
    assert_eq!(store.shares().unwrap(), []);
}

#[tokio::test]
async fn two_devices_that_claim_to_be_the_same_are_told_apart_by_place() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.engine.hotplug(HotplugEvent::Bound(twin("1-1"))).await;
    let stop = Stop::default();
    let id = running.only().await.id;
    running.engine.claim(peer(), id.clone(), stop.clone(), Consent::NotAsked).await.unwrap();
    // The claim stays with its device.
    running.engine.hotplug(HotplugEvent::Bound(twin("1-2"))).await;
    assert_eq!(running.shares().await.len(), 2);
    assert!(!stop.is_stopped());
    running.engine.claim_ended(id.clone(), EndReason::Detached).await;
    let shares = running.shares().await;
    assert_eq!(shares.len(), 2);
    assert!(shares.iter().all(|share| share.id != id && share.stable_id.contains('@')), "{shares:?}");
}

#[tokio::test]
async fn the_way_back_to_one_twin_leads_to_the_first_id() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.engine.hotplug(HotplugEvent::Bound(twin("1-1"))).await;
    let id = running.only().await.id;
    running.engine.hotplug(HotplugEvent::Bound(twin("1-2"))).await;
    running.unplug("1-1").await;
    let share = running.only().await;
    assert_eq!((share.id, share.device), (id, Some(at("1-2"))));
}
