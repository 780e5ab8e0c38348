//! `org.p2pusb1.Manager`

use zbus::{ObjectPath, OwnedObjectPath, Result, proxy};

use crate::{DiscoveredEntry, EndedEntry, Options};

/// The daemon itself, on the root object.
#[proxy(interface = "org.p2pusb1.Manager", default_service = "org.p2pusb1", default_path = "/org/p2pusb1")]
pub trait Manager {
    /// Make an invitation. It pairs one machine, then it is used up.
    ///
    /// Options: `expires-usec` (`t`), its lifetime in microseconds; `share` (`o`), the only share that the paired machine
    /// may use; `access-usec` (`t`), how long the pairing lasts, in microseconds.
    fn create_ticket(&self, options: &Options<'_>) -> Result<String>;

    /// Pair with the machine that made this ticket; answers with the peer when both have agreed.
    fn add_peer(&self, ticket: &str, options: &Options<'_>) -> Result<OwnedObjectPath>;

    /// Pair with this machine without a ticket; answers with the peer when somebody on each side has agreed. Takes an
    /// agent.
    fn propose_pairing(&self, endpoint_id: &str, options: &Options<'_>) -> Result<OwnedObjectPath>;

    /// Whether machines may ask to be paired.
    ///
    /// Options: `expires-usec` (`t`), for how long, in microseconds.
    fn set_accepting_peers(&self, accepting: bool, options: &Options<'_>) -> Result<()>;

    /// Offer a device to peers; answers with the share.
    ///
    /// Options: `peers` (`ao`), the peers that may claim it, empty for all; `force` (`b`), share it
    /// although this machine depends on it.
    fn share_device(&self, device: &ObjectPath<'_>, options: &Options<'_>) -> Result<OwnedObjectPath>;

    /// Read the settings anew; answers with the keys of those that need a restart.
    fn reload(&self, options: &Options<'_>) -> Result<Vec<String>>;

    /// How the daemon is: name, state and words of each thing that was looked at.
    fn diagnose(&self, options: &Options<'_>) -> Result<Vec<(String, String, String)>>;

    /// The daemon's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> Result<String>;

    /// This machine's endpoint id, 64 hexadecimal digits.
    #[zbus(property(emits_changed_signal = "const"))]
    fn endpoint_id(&self) -> Result<String>;

    /// See [`crate::values::ManagerState`].
    #[zbus(property)]
    fn state(&self) -> Result<String>;

    /// Whether devices are still being found out about.
    #[zbus(property)]
    fn probing(&self) -> Result<bool>;

    /// Whether machines may ask to be paired.
    #[zbus(property)]
    fn accepting_peers(&self) -> Result<bool>;

    /// See [`crate::values::RelayMode`].
    #[zbus(property(emits_changed_signal = "const"))]
    fn relay_mode(&self) -> Result<String>;

    /// Optional parts of this API that the daemon has.
    #[zbus(property(emits_changed_signal = "const"))]
    fn features(&self) -> Result<Vec<String>>;

    /// What somebody has to see to, a sentence each.
    #[zbus(property)]
    fn problems(&self) -> Result<Vec<String>>;

    /// Machines on the local network that are not paired.
    #[zbus(property)]
    fn discovered(&self) -> Result<Vec<DiscoveredEntry>>;

    /// The attachments that ended last, newest last.
    #[zbus(property)]
    fn recently_ended(&self) -> Result<Vec<EndedEntry>>;
}
