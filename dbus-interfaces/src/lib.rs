//! The D-Bus API of p2pusb, for its daemon, its command line client and everybody else's programs:
//! names, object paths, errors, enumerated values and client proxies.
//!
//! The contract itself is the XML files in this crate's folder, one for each interface; they are
//! installed to `/usr/share/dbus-1/interfaces`, and [`xml`] holds their texts. README.md beside them
//! says what may change and what may not.

pub mod bandwidth;
mod error;
pub mod names;
pub mod path;
mod proxy;
pub mod values;
pub mod xml;

pub use error::{ErrorName, MethodError};
pub use path::{attachment_path, device_path, peer_path, remote_device_path, share_path};
pub use proxy::{
    AgentManagerProxy, AgentProxy, AttachmentProxy, DeviceProxy, ManagerProxy, PeerProxy, RemoteDeviceProxy, ShareProxy,
};

/// The `a{sv}` that every method takes last.
pub type Options<'a> = std::collections::HashMap<&'a str, zbus::Variant<'a>>;

/// Class, subclass and protocol of one interface of a USB device.
pub type InterfaceClass = (u8, u8, u8);

/// One entry of `Manager.Discovered`: the endpoint id, and what the machine calls itself.
pub type DiscoveredEntry = (String, String);

/// One entry of `Manager.RecentlyEnded`: when (microseconds since the epoch), the peer's label, the
/// product's name, and the reason ([`values::EndReason`]).
pub type EndedEntry = (u64, String, String, String);

// The README's Rust example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
