//! Devices that come back under another id: what a share takes for its own device, and what an attachment does.

use p2pusb_protocol::{EndReason, InterfaceClass, OfferedDevice, Refusal, Speed};

use super::{DISK, Running, follows, kept, peer};
use crate::{
    engine::{
        Claimed, Consent, ShareWish,
        view::{Object, ObjectId, ShareView},
    },
    error::Error,
    net::link::LinkEvent,
    policy::Rules,
    stop::Stop,
    store::Store,
    usb::{BusPath, DeviceInfo, DeviceKind, HotplugEvent, sim::info},
};

const APPLICATION: (u16, u16) = (0x2e8a, 0x000a);
const BOOTLOADER: (u16, u16) = (0x2e8a, 0x0003);
const OTHER: (u16, u16) = (0x0781, 0x5567);
const KEYBOARD: InterfaceClass = InterfaceClass { class: 3, subclass: 1, protocol: 1 };

fn at(bus_path: &str) -> BusPath {
    bus_path.parse().unwrap()
}

/// A device with that id at that port; only the application has a serial number.
fn device(bus_path: &str, id: (u16, u16)) -> DeviceInfo {
    let mut plain = info(at(bus_path), DeviceKind::Ordinary, "Board".to_owned(), Speed::High, Default::default());
    (plain.vendor_id, plain.product_id) = id;
    if id == APPLICATION { plain.with_serial("E6614103") } else { plain }
}

fn wish() -> ShareWish {
    ShareWish { follows: follows(&["2e8a:0003"]), ..ShareWish::default() }
}

impl Running {
    async fn plug_in(&self, bus_path: &str, id: (u16, u16)) {
        self.engine.hotplug(HotplugEvent::Bound(device(bus_path, id))).await;
    }

    async fn pull_out(&self, bus_path: &str) {
        self.engine.hotplug(HotplugEvent::Removed(at(bus_path))).await;
    }

    /// The ids of what is offered, each with the id of its share.
    async fn offered(&self) -> Vec<(String, (u16, u16))> {
        self.engine.sync().await;
        let offers = self.engine.offers();
        let all = offers.borrow().all.clone();
        all.iter().map(|offer| (offer.device.id.clone(), (offer.device.vendor_id, offer.device.product_id))).collect()
    }

    /// A board at 1-1, shared with the id of its bootloader: the id of the share.
    async fn board(&self) -> String {
        self.plug_in("1-1", APPLICATION).await;
        self.engine.share_device(at("1-1"), wish(), 0).await.unwrap()
    }

    /// The id of the device that a peer gets which claims this share.
    async fn claimed(&self, id: &str, stop: Stop) -> Result<(u16, u16), Refusal> {
        match self.engine.claim(peer(), id.to_owned(), stop, Consent::NotAsked).await {
            Ok(Claimed::Granted(grant)) => Ok((grant.info.vendor_id, grant.info.product_id)),
            Ok(Claimed::Ask(question)) => panic!("{question:?}"),
            Err((refusal, _)) => Err(refusal),
        }
    }

    async fn all_shares(&self) -> Vec<ShareView> {
        self.engine.sync().await;
        let share = |object: &Object| match object {
            Object::Share(view) => Some(view.clone()),
            _ => None,
        };
        self.seen.borrow().values().filter_map(share).collect()
    }
}

#[tokio::test]
async fn a_bootloader_on_the_boards_port_is_its_device_until_the_board_is_back() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    let id = running.board().await;
    assert_eq!(running.offered().await, [(id.clone(), APPLICATION)]);
    running.pull_out("1-1").await;
    assert_eq!(running.offered().await, []);
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await, [(id.clone(), BOOTLOADER)]);
    let share = running.share(&id).await;
    assert_eq!((share.device, share.state), (Some(at("1-1")), "available"));
    // It can't be shared as what it is meanwhile.
    let error = running.engine.share_device(at("1-1"), ShareWish::default(), 0).await;
    assert!(matches!(error, Err(Error::AlreadyShared(_))), "{error:?}");
    running.pull_out("1-1").await;
    running.plug_in("1-1", APPLICATION).await;
    assert_eq!(running.offered().await, [(id, APPLICATION)]);
}

#[tokio::test]
async fn another_port_another_id_and_what_came_between_are_not_followed() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    let id = running.board().await;
    // As long as the board is there, nothing stands in for it.
    running.plug_in("1-2", BOOTLOADER).await;
    assert_eq!(running.offered().await, [(id.clone(), APPLICATION)]);
    running.pull_out("1-1").await;
    assert_eq!(running.offered().await, []);
    // Something else has taken the port, and is nobody's forerunner.
    running.plug_in("1-1", OTHER).await;
    assert_eq!(running.offered().await, []);
    running.pull_out("1-1").await;
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await, []);
    // The board itself is known anywhere, and followed from there.
    running.plug_in("1-3", APPLICATION).await;
    running.pull_out("1-3").await;
    running.plug_in("1-3", BOOTLOADER).await;
    assert_eq!(running.offered().await, [(id, BOOTLOADER)]);
}

#[tokio::test]
async fn without_ids_nothing_is_followed() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug_in("1-1", APPLICATION).await;
    running.engine.share_device(at("1-1"), ShareWish::default(), 0).await.unwrap();
    running.pull_out("1-1").await;
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await, []);
    assert_eq!(store.shares().unwrap()[0].port, None);
}

#[tokio::test]
async fn a_bootloader_that_somebody_has_shared_is_its_own() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.plug_in("1-1", BOOTLOADER).await;
    let own = running.engine.share_device(at("1-1"), ShareWish::default(), 0).await.unwrap();
    running.pull_out("1-1").await;
    running.board().await;
    running.pull_out("1-1").await;
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await, [(own, BOOTLOADER)]);
}

#[tokio::test]
async fn what_is_never_shared_is_not_followed_either() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    running.board().await;
    let never = "[[rule]]\naction = \"never-share\"\nid = \"2e8a:0003\"\n";
    running.engine.apply(Ok(toml::from_str(never).unwrap())).await;
    running.pull_out("1-1").await;
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await, []);
    let mut ignored = device("1-1", BOOTLOADER);
    ignored.properties.insert("P2PUSB_IGNORE".to_owned(), "1".to_owned());
    running.engine.apply(Ok(Default::default())).await;
    running.engine.hotplug(HotplugEvent::Changed(ignored)).await;
    assert_eq!(running.offered().await, []);
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await.len(), 1);
}

#[tokio::test]
async fn the_port_is_known_to_the_next_process_and_what_is_there_is_followed() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    let id = running.board().await;
    running.pull_out("1-1").await;
    running.plug_in("1-1", BOOTLOADER).await;
    running.engine.shutdown().await;
    let running = Running::start_with(&store, vec![device("1-1", BOOTLOADER)], Rules::default()).await;
    assert_eq!(running.offered().await, [(id, BOOTLOADER)]);
    running.plug_in("1-1", OTHER).await;
    running.engine.shutdown().await;
    let running = Running::start_with(&store, vec![device("1-1", BOOTLOADER)], Rules::default()).await;
    assert_eq!(running.offered().await, []);
}

#[tokio::test]
async fn a_claim_ends_when_its_device_stands_in_no_longer_and_no_device_is_claimed_twice() {
    let (_folder, store) = kept(&[]);
    let running = Running::start(&store).await;
    let id = running.board().await;
    running.pull_out("1-1").await;
    running.plug_in("1-1", BOOTLOADER).await;
    let stop = Stop::default();
    assert_eq!(running.claimed(&id, stop.clone()).await, Ok(BOOTLOADER));
    // The board is somewhere else: what is in its old place is another device.
    running.plug_in("1-4", APPLICATION).await;
    assert_eq!(stop.stopped().await, EndReason::DeviceUnplugged);
    assert_eq!(running.claimed(&id, Stop::default()).await, Err(Refusal::Busy));
    running.engine.claim_ended(id.clone(), EndReason::DeviceUnplugged).await;
    assert_eq!(running.claimed(&id, Stop::default()).await, Ok(APPLICATION));
}

#[tokio::test]
async fn a_rule_follows_as_well_and_its_share_stays_while_the_device_is_another() {
    let rule = "[[rule]]\naction = \"share\"\nid = \"2e8a:*\"\nfollows = [\"2e8a:0003\"]\n";
    let rules = || toml::from_str::<crate::config::Config>(rule).unwrap().rules;
    let (_folder, store) = kept(&[]);
    let running = Running::start_with(&store, Vec::new(), rules()).await;
    running.plug_in("1-1", APPLICATION).await;
    let offered = running.offered().await;
    assert_eq!(offered.len(), 1);
    let id = offered[0].0.clone();
    running.pull_out("1-1").await;
    assert_eq!(running.share(&id).await.state, "waiting");
    // The rule is about the bootloader, too; but it is the board that is meant.
    running.plug_in("1-1", BOOTLOADER).await;
    assert_eq!(running.offered().await, [(id.clone(), BOOTLOADER)]);
    running.pull_out("1-1").await;
    running.plug_in("1-1", APPLICATION).await;
    assert_eq!(running.offered().await, [(id.clone(), APPLICATION)]);
    // What is in force is what the rule says now, of what is gone as well.
    running.pull_out("1-1").await;
    running.engine.apply(Ok(Default::default())).await;
    assert_eq!(running.all_shares().await.len(), 0);
    assert_eq!(store.shares().unwrap(), []);
}

#[tokio::test]
async fn a_rules_share_goes_when_something_else_takes_the_port() {
    let rule = "[[rule]]\naction = \"share\"\nid = \"2e8a:000a\"\nfollows = [\"2e8a:0003\"]\n";
    let (_folder, store) = kept(&[]);
    let rules = toml::from_str::<crate::config::Config>(rule).unwrap().rules;
    let running = Running::start_with(&store, Vec::new(), rules).await;
    running.plug_in("1-1", APPLICATION).await;
    running.pull_out("1-1").await;
    assert_eq!(running.all_shares().await.len(), 1);
    running.plug_in("1-1", OTHER).await;
    assert_eq!(running.all_shares().await.len(), 0);
}

/// The disk of [`kept`], as its peer offers it now.
async fn offer(running: &Running, id: (u16, u16), interfaces: &[InterfaceClass]) {
    let device = OfferedDevice {
        id: "0000000a".to_owned(),
        vendor_id: id.0,
        product_id: id.1,
        class: 0,
        manufacturer: String::new(),
        product: "Thing".to_owned(),
        speed: Speed::High,
        interfaces: interfaces.to_vec(),
        available: true,
    };
    running.engine.link(peer(), LinkEvent::Offered(device)).await;
}

/// Why the only attachment waits.
async fn why(running: &Running) -> String {
    let attachments = running.attachments().await;
    assert_eq!((attachments.len(), attachments[0].state), (1, "waiting"));
    attachments[0].last_error.clone()
}

async fn waiting() -> (tempfile::TempDir, Store, Running) {
    let (folder, store) = kept(&["0000000a"]);
    let running = Running::start(&store).await;
    (folder, store, running)
}

#[tokio::test]
async fn a_wanted_disk_does_not_come_back_as_anything_else() {
    for (id, interfaces, said) in [
        ((0x046d, 0xc31c), [KEYBOARD].as_slice(), "has the id 046d:c31c"),
        (OTHER, &[DISK, KEYBOARD], "an interface that it had not, 03:01:01"),
    ] {
        let (_folder, store, running) = waiting().await;
        offer(&running, id, interfaces).await;
        let why = why(&running).await;
        assert!(why.starts_with("Disk was attached as 0781:5567, and what workshop offers in its place"), "{why}");
        assert!(why.contains(said) && why.contains("--follow"), "{why}");
        // It is still the disk that is wanted, by the next process as well.
        running.engine.shutdown().await;
        assert_eq!(store.attachments().unwrap()[0].known.id.to_string(), "0781:5567");
    }
}

#[tokio::test]
async fn what_it_was_and_what_somebody_has_named_is_attached_again() {
    for (id, interfaces) in [(OTHER, [DISK].as_slice()), ((0x0781, 0x1234), &[KEYBOARD]), (BOOTLOADER, &[DISK])] {
        let (_folder, _store, running) = waiting().await;
        running.engine.apply(Ok(toml::from_str("[attach]\nfollow = [\"2e8a:0003\"]").unwrap())).await;
        offer(&running, id, interfaces).await;
        // As far as it comes without a connection.
        assert_eq!(why(&running).await, "stopped", "{id:04x?}");
    }
}

#[tokio::test]
async fn an_object_that_stands_for_another_device_is_another_object() {
    let (_folder, _store, running) = waiting().await;
    offer(&running, OTHER, &[DISK]).await;
    running.engine.sync().await;
    let object = ObjectId::RemoteDevice(peer(), "0000000a".to_owned());
    assert_eq!(running.removed.borrow().iter().filter(|removed| **removed == object).count(), 0);
    offer(&running, BOOTLOADER, &[DISK]).await;
    running.engine.sync().await;
    assert_eq!(running.removed.borrow().iter().filter(|removed| **removed == object).count(), 1);
}
