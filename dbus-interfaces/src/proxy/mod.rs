//! Client proxies, one for each interface.
//!
//! They call without the flag that lets polkit ask for a password. A program that sits in front of
//! somebody calls `proxy.inner().call_with_flags(…, MethodFlags::ALLOW_INTERACTIVE_AUTH, …)`.
//!
//! Properties are cached by zbus and follow `PropertiesChanged`; those that the XML marks with
//! `EmitsChangedSignal` false are asked for each time.

mod agent;
mod agent_manager;
mod attachment;
mod device;
mod manager;
mod peer;
mod remote_device;
mod share;

pub use agent::AgentProxy;
pub use agent_manager::AgentManagerProxy;
pub use attachment::AttachmentProxy;
pub use device::DeviceProxy;
pub use manager::ManagerProxy;
pub use peer::PeerProxy;
pub use remote_device::RemoteDeviceProxy;
pub use share::ShareProxy;
