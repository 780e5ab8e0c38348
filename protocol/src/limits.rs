//! Every limit that a peer can run into, by name.
//!
//! The limits are part of the protocol: a sender never exceeds them and a receiver refuses what does,
//! before it allocates anything. Raising one needs a feature that both sides have announced.

use std::time::Duration;

/// Longest header of a frame on the control stream, in bytes. The longest message of this version takes
/// little more than a quarter of it; the rest is for fields that later minor versions append.
pub const MAX_CONTROL_HEADER: u16 = 16 * 1024;

/// Longest payload of a frame on the control stream, in bytes: a device's descriptors.
pub const MAX_CONTROL_PAYLOAD: u32 = 64 * 1024;

/// Longest header of a frame on a pairing stream, in bytes. There, strangers are listened to.
pub const MAX_PAIRING_HEADER: u16 = 16 * 1024;

/// Longest header of a frame on a lane, in bytes.
pub const MAX_LANE_HEADER: u16 = 256;

/// Longest header that any frame may have, in bytes.
pub const MAX_HEADER_LEN: u16 = MAX_CONTROL_HEADER;

/// Most bytes that one URB may transfer.
pub const MAX_URB_LEN: u32 = 16 * 1024 * 1024;

/// Most packets of one isochronous URB (the kernel's USBIP_MAX_ISO_PACKETS).
pub const MAX_ISO_PACKETS: u16 = 1024;

/// Longest payload of a frame on a lane, in bytes: the data of a URB, and the table of its packets.
pub const MAX_LANE_PAYLOAD: u32 = MAX_URB_LEN + 8 * MAX_ISO_PACKETS as u32;

/// Most URBs in flight on one lane: submitted, and their completion not yet received or, as the exporter sees it,
/// not yet acknowledged.
pub const MAX_URBS_PER_LANE: usize = 512;

/// Most bytes in flight on one lane: the sum of the lengths of the URBs in flight, IN and OUT alike,
/// because the exporter sets a buffer aside for either.
pub const MAX_LANE_BYTES: usize = 32 * 1024 * 1024;

/// Most lanes of one session. A device has one control endpoint and at most thirty others.
pub const MAX_LANES: usize = 32;

/// Most devices that one exporter offers to one peer at a time.
pub const MAX_OFFERED_DEVICES: usize = 256;

/// How long people may take to answer: whether an importer may have a device, or whether two machines shall be paired.
pub const ASKING_MAX: Duration = Duration::from_secs(120);

/// Longest text meant for people (labels, product names, details), in bytes of UTF-8.
pub const MAX_TEXT: usize = 128;

/// Longest id of an offered device, in bytes.
pub const MAX_DEVICE_ID: usize = 64;

/// Shortest PIN, in bytes of UTF-8.
pub const MIN_PIN: usize = 4;

/// Longest PIN, in bytes of UTF-8.
pub const MAX_PIN: usize = 64;

/// Longest URL of a relay, in bytes.
pub const MAX_RELAY_URL: usize = 256;

/// Most addresses that a daemon tells about itself.
pub const MAX_ADDRESSES: usize = 16;

/// Most interfaces listed for an offered device: what a configuration descriptor may have in practice.
/// Further ones are left out of the list.
pub const MAX_INTERFACES: usize = 32;

// One URB of the greatest length always fits into an empty lane.
const _: () = assert!(MAX_URB_LEN as usize <= MAX_LANE_BYTES);
