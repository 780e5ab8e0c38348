//! What the device says of itself: a sound card of USB Audio Class 1 with a loudspeaker (endpoint 0x01) and a microphone
//! (endpoint 0x82), stereo, 16 bits, 44.1 kHz. At that rate the packets differ in length.

use super::frames::Speed;
use crate::samples::SAMPLE;

/// Samples per second.
pub(super) const RATE: u32 = 44_100;

/// The endpoint of the loudspeaker, and the interface that it belongs to.
pub(super) const PLAY: u32 = 1;
pub(super) const PLAY_INTERFACE: u16 = 1;
/// Those of the microphone.
pub(super) const RECORD: u32 = 2;
pub(super) const RECORD_INTERFACE: u16 = 2;

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const STRING: u8 = 3;

/// A descriptor by its type and index, as GET_DESCRIPTOR asks for it; `None` where the device has no such one.
pub(super) fn get(kind: u8, index: u8, speed: Speed, name: &str) -> Option<Vec<u8>> {
    match (kind, index) {
        (DEVICE, 0) => Some(device(speed)),
        (CONFIGURATION, 0) => Some(configuration(speed)),
        (STRING, 0) => Some(vec![4, STRING, 0x09, 0x04]),
        (STRING, 1) => Some(string("p2pusb")),
        (STRING, 2) => Some(string(&format!("Lab {name}"))),
        (STRING, 3) => Some(string(&format!("lab-{name}"))),
        _ => None,
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut descriptor = vec![0, STRING];
    descriptor.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    descriptor[0] = descriptor.len() as u8;
    descriptor
}

fn device(speed: Speed) -> Vec<u8> {
    let usb = match speed {
        Speed::Full => 1,
        Speed::High => 2,
    };
    // 1d6b:0101 is what Linux's own audio gadget calls itself.
    vec![18, DEVICE, 0, usb, 0, 0, 0, 64, 0x6b, 0x1d, 0x01, 0x01, 0, 1, 1, 2, 3, 1]
}

fn configuration(speed: Speed) -> Vec<u8> {
    let mut all = vec![9, CONFIGURATION, 0, 0, 3, 1, 0, 0xc0, 50];
    control_interface(&mut all);
    // Synchronous: a packet for each frame, the rate of the bus. Asynchronous: a rate of its own.
    streaming_interface(&mut all, 1, 1, 0x01, 0x0d, speed);
    streaming_interface(&mut all, 2, 4, 0x82, 0x05, speed);
    let length = (all.len() as u16).to_le_bytes();
    all[2..4].copy_from_slice(&length);
    all
}

/// The terminals: from the bus (1) to the loudspeaker (2), from the microphone (3) to the bus (4).
fn control_interface(to: &mut Vec<u8>) {
    let terminals: [&[u8]; 4] = [
        &[12, 0x24, 2, 1, 0x01, 0x01, 0, 2, 3, 0, 0, 0],
        &[9, 0x24, 3, 2, 0x01, 0x03, 0, 1, 0],
        &[12, 0x24, 2, 3, 0x01, 0x02, 0, 2, 3, 0, 0, 0],
        &[9, 0x24, 3, 4, 0x01, 0x01, 0, 3, 0],
    ];
    let terminals = terminals.concat();
    to.extend([9, 4, 0, 0, 0, 1, 1, 0, 0]);
    to.extend([10, 0x24, 1, 0, 1, 10 + terminals.len() as u8, 0, 2, 1, 2]);
    to.extend(terminals);
}

/// An interface that is off in alternate setting 0 and has its endpoint in alternate setting 1.
fn streaming_interface(to: &mut Vec<u8>, interface: u8, terminal: u8, endpoint: u8, attributes: u8, speed: Speed) {
    let [size, size_high] = packet_size(speed).to_le_bytes();
    let [rate, rate_middle, rate_high, _] = RATE.to_le_bytes();
    to.extend([9, 4, interface, 0, 0, 1, 2, 0, 0]);
    to.extend([9, 4, interface, 1, 1, 1, 2, 0, 0]);
    to.extend([7, 0x24, 1, terminal, 1, 1, 0]);
    to.extend([11, 0x24, 2, 1, 2, SAMPLE as u8 / 2, 16, 1, rate, rate_middle, rate_high]);
    // An interval of 1: a packet in each frame of a full speed bus and in each microframe of a high speed one.
    to.extend([9, 5, endpoint, attributes, size, size_high, 1, 0, 0]);
    to.extend([7, 0x25, 1, 0, 0, 0, 0]);
}

/// Room for one sample more than a frame has at the most.
fn packet_size(speed: Speed) -> u16 {
    (RATE.div_ceil(speed.frames_per_second()) as u16 + 1) * SAMPLE as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_in_the_descriptors_are_true() {
        for speed in [Speed::Full, Speed::High] {
            let all = get(CONFIGURATION, 0, speed, "audio").expect("a configuration");
            assert_eq!(usize::from(u16::from_le_bytes([all[2], all[3]])), all.len());
            let mut rest = &all[..];
            while let [length, ..] = rest {
                rest = &rest[usize::from(*length)..];
            }
        }
        assert_eq!((packet_size(Speed::Full), packet_size(Speed::High)), (184, 28));
        assert_eq!(get(STRING, 3, Speed::Full, "a"), Some(vec![12, 3, b'l', 0, b'a', 0, b'b', 0, b'-', 0, b'a', 0]));
    }
}
