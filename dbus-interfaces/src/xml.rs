//! The texts of the interface descriptions.

use crate::names::interface;

/// `org.p2pusb1.Manager.xml`
pub const MANAGER: &str = include_str!("../org.p2pusb1.Manager.xml");
/// `org.p2pusb1.AgentManager.xml`
pub const AGENT_MANAGER: &str = include_str!("../org.p2pusb1.AgentManager.xml");
/// `org.p2pusb1.Agent.xml`
pub const AGENT: &str = include_str!("../org.p2pusb1.Agent.xml");
/// `org.p2pusb1.Device.xml`
pub const DEVICE: &str = include_str!("../org.p2pusb1.Device.xml");
/// `org.p2pusb1.Share.xml`
pub const SHARE: &str = include_str!("../org.p2pusb1.Share.xml");
/// `org.p2pusb1.Peer.xml`
pub const PEER: &str = include_str!("../org.p2pusb1.Peer.xml");
/// `org.p2pusb1.RemoteDevice.xml`
pub const REMOTE_DEVICE: &str = include_str!("../org.p2pusb1.RemoteDevice.xml");
/// `org.p2pusb1.Attachment.xml`
pub const ATTACHMENT: &str = include_str!("../org.p2pusb1.Attachment.xml");

/// Interface name and text of every file.
pub const ALL: [(&str, &str); 8] = [
    (interface::MANAGER, MANAGER),
    (interface::AGENT_MANAGER, AGENT_MANAGER),
    (interface::DEVICE, DEVICE),
    (interface::SHARE, SHARE),
    (interface::PEER, PEER),
    (interface::REMOTE_DEVICE, REMOTE_DEVICE),
    (interface::ATTACHMENT, ATTACHMENT),
    (interface::AGENT, AGENT),
];
