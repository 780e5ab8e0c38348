//! Shares that nobody has made by hand: they follow from what udev or a rule says of a device, come with it and go with it. They are
//! not kept: the next process derives them anew, with the same ids.

use std::{fmt, sync::Arc};

use iroh::SecretKey;
use p2pusb_protocol::{EndReason, MAX_OFFERED_DEVICES};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::{Engine, shares::Share, view::DeviceFacts};
use crate::{
    error::Error,
    policy::{Action, Follows, PeerNames, Rule, Terms},
    store::ShareRecord,
    usb::{BusPath, DeviceInfo},
};

/// A udev property that shares a device, see udev-rules/README.md.
const SHARE_PROPERTY: &str = "P2PUSB_SHARE";
/// A udev property that says with whom.
const PEERS_PROPERTY: &str = "P2PUSB_PEERS";
/// What tells these ids from whatever else may be made of the same key.
const ID_PURPOSE: &[u8] = b"p2pusb id of a derived share";

/// Where a share comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody has asked for it. It is kept until somebody revokes it.
    Person,
    /// The udev properties of the device.
    Udev,
    /// A rule of the settings.
    Rule(Arc<Rule>),
}

impl Origin {
    /// As the bus has it.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Udev => "udev",
            Self::Rule(_) => "rule",
        }
    }

    /// Whether it follows from something, and so can't be changed by hand.
    pub(super) fn is_derived(&self) -> bool {
        *self != Self::Person
    }
}

impl fmt::Display for Origin {
    /// Writes a part of a sentence: the device is shared by ….
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("somebody"),
            Self::Udev => write!(f, "a udev rule of this machine ({SHARE_PROPERTY})"),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

/// What is said of a device: it is to be shared like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    origin: Origin,
    /// With whom; `None` means every paired peer.
    names: Option<PeerNames>,
    /// On which terms.
    terms: Terms,
    /// Under which ids it may come back.
    follows: Follows,
}

impl Derived {
    /// What the device's udev properties say.
    fn from_udev(info: &DeviceInfo) -> Option<Self> {
        let property = |name: &str| info.properties.get(name).map(String::as_str);
        (property(SHARE_PROPERTY) == Some("1")).then(|| Self {
            origin: Origin::Udev,
            names: property(PEERS_PROPERTY).map(PeerNames::parse),
            terms: Terms::default(),
            follows: Follows::default(),
        })
    }

    /// What a rule of the settings says.
    fn from_rule(rule: &Arc<Rule>) -> Option<Self> {
        match &rule.action {
            Action::Share { peers, terms, follows } => Some(Self {
                origin: Origin::Rule(rule.clone()),
                names: peers.clone(),
                terms: terms.clone(),
                follows: follows.clone(),
            }),
            Action::NeverShare => None,
        }
    }
}

/// A key for the ids of derived shares. They must be the same in every process, and tell a peer nothing of the serial
/// number that is in a stable id.
pub(super) fn id_key(identity: &SecretKey) -> [u8; 32] {
    Sha256::new().chain_update(ID_PURPOSE).chain_update(identity.to_bytes()).finalize().into()
}

fn id_of(key: &[u8; 32], stable_id: &str) -> String {
    let hash = Sha256::new().chain_update(key).chain_update(stable_id).finalize();
    data_encoding::HEXLOWER.encode(&hash[..4])
}

impl Engine {
    fn derived(&self, info: &DeviceInfo) -> Option<Derived> {
        if self.exclusion(info).is_some() {
            return None;
        }
        // udev is about this device, a rule about many.
        Derived::from_udev(info).or_else(|| Derived::from_rule(self.sharing_rule(info)?))
    }

    /// What is said of a device that is gone and may come back under another id: its share stays meanwhile.
    fn derived_of_gone(&self, share: &Share) -> Option<(BusPath, String, Derived)> {
        let (port, info) = (share.record.port.clone()?, share.last.as_ref()?);
        let is_there = self.devices.values().any(|other| self.identity(other) == share.record.stable_id);
        let derived = Derived::from_rule(&self.rules.about(&info.into())?)?;
        (!is_there && !derived.follows.is_empty()).then(|| (port, share.record.stable_id.clone(), derived))
    }

    /// Looks at everything that shares are derived from: devices, peers, and what somebody has shared by hand, which
    /// comes first.
    pub(super) async fn derive_shares(&mut self) {
        if self.is_stopping() {
            return;
        }
        self.see_ports().await;
        for share in self.shares.values() {
            let device = share.claimed_device().and_then(|bus_path| self.devices.get(bus_path));
            if device.is_some_and(|info| self.exclusion(info).is_some()) {
                share.stop(EndReason::ShareRevoked);
            }
        }
        self.stop_stand_ins();
        let said = |info: &DeviceInfo| Some((info.bus_path.clone(), self.identity(info), self.derived(info)?));
        let themselves = self.devices.values().filter(|info| !self.is_followed(info)).filter_map(said);
        let derived = || self.shares.values().filter(|share| share.origin.is_derived() && !share.ending);
        let wanted: Vec<(BusPath, String, Derived)> =
            themselves.chain(derived().filter_map(|share| self.derived_of_gone(share))).collect();
        for id in derived().map(|share| share.record.id.clone()).collect::<Vec<_>>() {
            self.derive_again(&id, &wanted).await;
        }
        for (bus_path, stable_id, derived) in wanted {
            if !self
                .shares
                .values()
                .any(|share| share.record.stable_id == stable_id || share.claimed_device() == Some(&bus_path))
            {
                self.derive(&bus_path, stable_id, derived).await;
            }
        }
        // What is followed only from now on is where it is.
        self.see_ports().await;
        self.publish_offers();
    }

    /// Holds a derived share against what is said now.
    async fn derive_again(&mut self, id: &str, wanted: &[(BusPath, String, Derived)]) {
        let Some(share) = self.shares.get_mut(id) else { return };
        // A device's identity changes when another one claims the same; a claim stays with its device.
        let same = |(bus_path, stable_id, _): &&(BusPath, String, Derived)| match share.claimed_device() {
            Some(claimed) => claimed == bus_path,
            None => share.record.stable_id == *stable_id,
        };
        match wanted.iter().find(same) {
            Some((_, _, derived)) => {
                share.origin = derived.origin.clone();
                share.names = derived.names.clone();
                share.record.terms = derived.terms.clone();
                share.limit.set(derived.terms.bandwidth);
                share.record.follows = derived.follows.clone();
                self.look_at(id);
                self.stop_stranger(id);
                self.publish_share(id).await;
            }
            None => {
                share.ending = true;
                share.stop(EndReason::ShareRevoked);
                if !share.is_claimed() {
                    self.remove_share(id).await;
                }
            }
        }
    }

    /// Begins to share a device of which that is said.
    async fn derive(&mut self, bus_path: &BusPath, stable_id: String, derived: Derived) {
        let Some(info) = self.devices.get(bus_path) else { return };
        let id = id_of(&self.id_key, &stable_id);
        let why_not = if self.shares.contains_key(&id) {
            "another share has its id"
        } else if self.shares.len() >= MAX_OFFERED_DEVICES {
            "there are too many shares"
        } else {
            ""
        };
        if !why_not.is_empty() {
            return warn!(P2PUSB_DEVICE = %bus_path, "not shared, although {} says so: {why_not}", derived.origin);
        }
        let record = ShareRecord {
            id: id.clone(),
            stable_id,
            product: DeviceFacts::from(info).name(),
            peers: Vec::new(),
            force: false,
            grace: None,
            terms: derived.terms,
            owner_uid: 0,
            paused: self.paused.contains(&id),
            follows: derived.follows,
            port: None,
            pin: false,
        };
        info!(P2PUSB_DEVICE = %bus_path, P2PUSB_SHARE = id, "shared by {}", derived.origin);
        let share = Share::new(record, self.grace).derived(derived.origin, derived.names);
        self.shares.insert(id.clone(), share);
        self.look_at(&id);
        self.publish_share(&id).await;
    }

    /// Why a derived share can't be changed by hand, and where it can.
    pub(super) fn not_by_hand(&self, share: &Share) -> Error {
        let device = self.device_of(share).map(|info| info.bus_path.to_string());
        let change = match share.origin {
            Origin::Person => String::new(),
            Origin::Udev => format!(
                "; change that rule, then run `udevadm control --reload` and `udevadm trigger /sys/bus/usb/devices/{}`",
                device.unwrap_or_else(|| "…".to_owned())
            ),
            Origin::Rule(_) => "; change it there, then run `p2pusb reload`".to_owned(),
        };
        Error::ShareDerived { device: share.record.product.clone(), why: format!("{}{change}", share.origin) }
    }
}
