//! What is encoded is decoded to the same, whatever it is.

use p2pusb_protocol::{
    ControlMessage, FrameLimits, Hello, InterfaceClass, LaneMessage, LanePosition, MAJOR, MAX_ADDRESSES,
    MAX_INTERFACES, MAX_LANES, OfferedDevice, PREFIX_LEN, PairingMessage, PeerAddress, Prefix, Resume, SessionId,
    Speed, clip,
};
use proptest::{collection::vec, prelude::*};

#[path = "support/strategies.rs"]
mod strategies;

/// Takes a frame apart, which must be within the limits.
fn parts(frame: &[u8], limits: FrameLimits) -> (Prefix, &[u8]) {
    let (prefix, header) = frame.split_first_chunk::<PREFIX_LEN>().expect("a prefix");
    let prefix = Prefix::decode(*prefix);
    assert_eq!(prefix.check(limits), Ok(()));
    assert_eq!(usize::from(prefix.header_len), header.len());
    (prefix, header)
}

proptest! {
    #[test]
    fn control(message in strategies::control_message(), payload_len in 0..=65_536_u32) {
        let frame = message.encode_with_payload_len(payload_len);
        let (prefix, header) = parts(&frame, FrameLimits::CONTROL);
        prop_assert_eq!(prefix.payload_len, payload_len);
        prop_assert_eq!(ControlMessage::decode(prefix.kind, header), Ok(Some(message)));
    }

    #[test]
    fn pairing(message in strategies::pairing_message()) {
        let frame = message.encode();
        let (prefix, header) = parts(&frame, FrameLimits::PAIRING);
        prop_assert_eq!(PairingMessage::decode(prefix.kind, header), Ok(Some(message)));
    }

    #[test]
    fn lane(message in strategies::lane_message(), payload_len in 0..=16_777_216_u32) {
        let frame = message.encode(payload_len);
        let (prefix, header) = parts(&frame, FrameLimits::LANE);
        prop_assert_eq!(prefix.payload_len, payload_len);
        prop_assert_eq!(LaneMessage::decode(prefix.kind, header), Ok(Some(message)));
    }

    /// A newer minor version may append fields.
    #[test]
    fn appended_bytes_are_ignored(
        control in strategies::control_message(),
        pairing in strategies::pairing_message(),
        lane in strategies::lane_message(),
        appended in vec(any::<u8>(), 1..40),
    ) {
        let with_more = |frame: &[u8]| {
            let (prefix, header) = parts(frame, FrameLimits::CONTROL);
            (prefix.kind, [header, &appended].concat())
        };
        let (kind, header) = with_more(&control.encode());
        prop_assert_eq!(ControlMessage::decode(kind, &header), Ok(Some(control)));
        let (kind, header) = with_more(&pairing.encode());
        prop_assert_eq!(PairingMessage::decode(kind, &header), Ok(Some(pairing)));
        let (kind, header) = with_more(&lane.encode(0));
        prop_assert_eq!(LaneMessage::decode(kind, &header), Ok(Some(lane)));
    }

    /// Texts and lists come from device descriptors and from settings. A sender need not look at them: what
    /// the protocol does not allow does not reach the wire.
    #[test]
    fn what_is_too_long_is_cut(
        texts in any::<[String; 2]>(),
        repeat in 1..2000_usize,
        interfaces in vec(any::<(u8, u8, u8)>(), 0..100),
        addresses in 0..100_u16,
        lanes in 0..100_u64,
    ) {
        let [first, second] = texts.map(|text| text.repeat(repeat));
        let interfaces: Vec<InterfaceClass> = interfaces
            .into_iter()
            .map(|(class, subclass, protocol)| InterfaceClass { class, subclass, protocol })
            .collect();
        let mut device = OfferedDevice {
            id: "0a1b2c3d".into(),
            vendor_id: 1,
            product_id: 2,
            class: 3,
            manufacturer: first.clone(),
            product: second.clone(),
            speed: Speed::High,
            interfaces,
            available: true,
        };
        let frame = ControlMessage::DeviceOffered(device.clone()).encode();
        let (prefix, header) = parts(&frame, FrameLimits::CONTROL);
        device.manufacturer = clip(&first);
        device.product = clip(&second);
        device.interfaces.truncate(MAX_INTERFACES);
        let expected = Ok(Some(ControlMessage::DeviceOffered(device)));
        prop_assert_eq!(ControlMessage::decode(prefix.kind, header), expected);

        // A relay with a URL that can't be sent is left out, it makes no room for less.
        let unusable = PeerAddress::Relay(format!("https://{}/", "x".repeat(300)));
        let usable = (0..addresses).map(|port| PeerAddress::Ip(([192, 0, 2, 1], port).into()));
        let mut hello = Hello {
            major: MAJOR,
            minor: 0,
            features: 0,
            instance: 0,
            software: first.clone(),
            label: second.clone(),
            addresses: [unusable].into_iter().chain(usable).collect(),
        };
        let frame = ControlMessage::Hello(hello.clone()).encode();
        let (prefix, header) = parts(&frame, FrameLimits::CONTROL);
        hello.software = clip(&first);
        hello.label = clip(&second);
        hello.addresses.remove(0);
        hello.addresses.truncate(MAX_ADDRESSES);
        let expected = Ok(Some(ControlMessage::Hello(hello)));
        prop_assert_eq!(ControlMessage::decode(prefix.kind, header), expected);

        let lanes = (0..lanes).map(|position| LanePosition { endpoint: 0x81, position });
        let mut resume = Resume { session: SessionId(1), lanes: lanes.collect() };
        let frame = ControlMessage::Resume(resume.clone()).encode();
        let (prefix, header) = parts(&frame, FrameLimits::CONTROL);
        resume.lanes.truncate(MAX_LANES);
        let expected = Ok(Some(ControlMessage::Resume(resume)));
        prop_assert_eq!(ControlMessage::decode(prefix.kind, header), expected);
    }
}

/// An id that is too long belongs to no device; the frame stays one that the other side can read.
#[test]
fn a_device_id_that_is_too_long_does_not_break_the_frame() {
    let message = ControlMessage::DeviceWithdrawn { id: "a".repeat(100_000) };
    let frame = message.encode();
    let (prefix, header) = parts(&frame, FrameLimits::CONTROL);
    let id = "a".repeat(p2pusb_protocol::MAX_DEVICE_ID);
    let expected = Ok(Some(ControlMessage::DeviceWithdrawn { id }));
    assert_eq!(ControlMessage::decode(prefix.kind, header), expected);
}
