//! What a peer must not send is refused, and nothing that it sends makes this side panic.

use p2pusb_protocol::{
    Commitment, Complete, ControlMessage, Direction, FieldError, Hello, LaneMessage, MAX_TEXT, MAX_URB_LEN, PREFIX_LEN,
    PairProposal, PairRequest, PairingMessage, ProtocolError, SessionId, Submit, TicketSecret, UrbFlags, UrbStatus,
};
use proptest::{collection::vec, prelude::*, sample::Index};

#[path = "support/frames.rs"]
mod frames;
#[path = "support/strategies.rs"]
mod strategies;

/// Reads the bytes as each kind of stream.
fn read_everything(bytes: &[u8]) {
    frames::read_control(bytes);
    frames::read_pairing(bytes);
    frames::read_lane(bytes);
}

/// A change to the bytes of a frame.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, u8),
    Remove(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = || any::<Index>();
    prop_oneof![
        4 => (index(), 1..=u8::MAX).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => index().prop_map(Change::Cut),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => index().prop_map(Change::Remove),
    ]
}

fn perturb(frame: &mut Vec<u8>, changes: &[Change]) {
    for change in changes {
        if frame.is_empty() {
            return;
        }
        match change {
            Change::Flip(at, bits) => {
                let at = at.index(frame.len());
                frame[at] ^= bits;
            }
            Change::Cut(at) => frame.truncate(at.index(frame.len())),
            Change::Insert(at, byte) => frame.insert(at.index(frame.len()), *byte),
            Change::Remove(at) => {
                frame.remove(at.index(frame.len()));
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    /// Behind a prefix that fits, so that the header is looked at.
    #[test]
    fn random_headers_do_not_panic(
        kind in prop_oneof![0..=16_u16, 0x100..=0x104_u16, 0x200..=0x205_u16, any::<u16>()],
        header in vec(any::<u8>(), 0..300),
    ) {
        let prefix = p2pusb_protocol::Prefix { kind, header_len: header.len() as u16, payload_len: 0 };
        read_everything(&[&prefix.encode(), header.as_slice()].concat());
    }

    #[test]
    fn perturbed_frames_do_not_panic(
        control in strategies::control_message(),
        pairing in strategies::pairing_message(),
        lane in strategies::lane_message(),
        changes in vec(change(), 1..6),
    ) {
        for frame in [control.encode(), pairing.encode(), lane.encode(0)] {
            let mut frame = frame.to_vec();
            perturb(&mut frame, &changes);
            read_everything(&frame);
            // The same with a prefix that is left alone.
            let mut header = frame.split_off(PREFIX_LEN.min(frame.len()));
            perturb(&mut header, &changes);
            let whole = p2pusb_protocol::Prefix {
                kind: frame.first().copied().unwrap_or_default().into(),
                header_len: header.len() as u16,
                payload_len: 0,
            };
            read_everything(&[&whole.encode(), header.as_slice()].concat());
        }
    }

    /// A message with its end missing is never taken for a shorter one.
    #[test]
    fn a_header_that_is_cut_short_is_malformed(
        message in strategies::control_message(),
        cut in any::<Index>(),
    ) {
        let frame = message.encode();
        let (kind, header) = (u16::from(frame[0]), &frame[PREFIX_LEN..]);
        prop_assume!(!header.is_empty());
        let result = ControlMessage::decode(kind, &header[..cut.index(header.len())]);
        let malformed = matches!(result, Err(ProtocolError::Malformed { .. }));
        prop_assert!(malformed, "{result:?}");
    }

    #[test]
    fn unknown_kinds_are_ignored(kind in 17..=0xff_u16, header in vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(ControlMessage::decode(kind, &header), Ok(None));
        prop_assert_eq!(PairingMessage::decode(kind, &header), Ok(None));
        prop_assert_eq!(LaneMessage::decode(kind, &header), Ok(None));
    }
}

#[test]
fn messages_are_refused_on_streams_that_are_not_theirs() {
    let misplaced = |kind| Err(ProtocolError::WrongStream { kind });
    for kind in [0x0202, 0x0204] {
        assert_eq!(ControlMessage::decode(kind, &[]), misplaced(kind).map(|()| None));
    }
    for kind in [0x0001, 0x000b] {
        assert_eq!(PairingMessage::decode(kind, &[]), misplaced(kind).map(|()| None));
    }
    for kind in [0x000a, 0x000b, 0x000c, 0x000d, 0x000f] {
        assert_eq!(LaneMessage::decode(kind, &[]), misplaced(kind).map(|()| None));
    }
}

#[test]
fn another_major_version_is_told_from_its_first_two_fields() {
    // What follows is nothing that this version could read.
    let header = [2, 7, 0xff, 0xff, 0xff];
    let (label, addresses) = (String::new(), Vec::new());
    let hello = Hello {
        major: 2,
        minor: 7,
        features: 0,
        instance: 0,
        software: String::new(),
        label: label.clone(),
        addresses: addresses.clone(),
    };
    assert_eq!(ControlMessage::decode(0x0001, &header), Ok(Some(ControlMessage::Hello(hello))));
    let request = PairRequest { major: 2, minor: 7, secret: TicketSecret([0; 16]), label, addresses };
    assert_eq!(PairingMessage::decode(0x0101, &header), Ok(Some(PairingMessage::Request(request))));
    let (label, addresses) = (String::new(), Vec::new());
    let proposal = PairProposal { major: 2, minor: 7, commitment: Commitment([0; 32]), label, addresses };
    assert_eq!(PairingMessage::decode(0x0104, &header), Ok(Some(PairingMessage::Proposal(proposal))));
}

#[test]
fn a_newer_minor_version_is_understood() {
    // minor 9, features 3, instance 4, empty texts, no addresses, and a field from the future
    let header = [1, 9, 3, 4, 0, 0, 0, 42];
    let Ok(Some(ControlMessage::Hello(hello))) = ControlMessage::decode(0x0001, &header) else { panic!("a hello") };
    assert_eq!((hello.major, hello.minor, hello.features, hello.instance), (1, 9, 3, 4));
}

#[test]
fn values_of_enums_from_the_future_have_a_meaning() {
    use p2pusb_protocol::{AttachRefused, EndReason, PairRefusal, Refusal};

    let session = SessionId(1);
    let completed = LaneMessage::Complete(Complete { seq: 1, status: UrbStatus::Failed, actual_length: 0, packets: 0 });
    assert_eq!(LaneMessage::decode(0x0203, &[1, 200, 0, 0]), Ok(Some(completed)));
    let reason = EndReason::PeerStopped;
    let ended = ControlMessage::Ended { session, reason };
    assert_eq!(ControlMessage::decode(0x0009, &[1, 200]), Ok(Some(ended)));
    let refused =
        ControlMessage::AttachRefused(AttachRefused { session, reason: Refusal::Failed, detail: String::new() });
    assert_eq!(ControlMessage::decode(0x0007, &[1, 200, 0]), Ok(Some(refused)));
    let refused = PairingMessage::Refused(PairRefusal::Unknown);
    assert_eq!(PairingMessage::decode(0x0103, &[200]), Ok(Some(refused)));
    let submitted = LaneMessage::Submit(Submit {
        seq: 1,
        received: 2,
        flags: UrbFlags::SHORT_NOT_OK,
        length: 0,
        setup: None,
        packets: 0,
    });
    assert_eq!(LaneMessage::decode(0x0202, &[1, 2, 0xfd, 0, 0, 0]), Ok(Some(submitted)));
}

#[test]
fn addresses_of_unknown_kinds_are_stepped_over() {
    let header = [
        [1, 0, 0, 0, 0, 0, 2].as_slice(),
        &[77, 3, b'x', b'y', b'z'],
        &[1, 9, b'[', b':', b':', b'1', b']', b':', b'4', b'4', b'3'],
    ]
    .concat();
    let Ok(Some(ControlMessage::Hello(hello))) = ControlMessage::decode(0x0001, &header) else { panic!("a hello") };
    let expected = "[::1]:443".parse().expect("an address");
    assert_eq!(hello.addresses, [p2pusb_protocol::PeerAddress::Ip(expected)]);
}

/// The field error in what decoding gives.
fn field<M: std::fmt::Debug>(decoded: Result<M, ProtocolError>) -> FieldError {
    let error = decoded.expect_err("a field that is not allowed");
    match error {
        ProtocolError::Invalid { source, .. } => source,
        other => panic!("not a field: {other:?}"),
    }
}

#[test]
fn session_zero_is_refused() {
    for kind in [0x0008, 0x0009] {
        assert_eq!(field(ControlMessage::decode(kind, &[0, 0])), FieldError::Session);
    }
    assert_eq!(field(ControlMessage::decode(0x0005, &[0, 1, b'a'])), FieldError::Session);
    assert_eq!(field(ControlMessage::decode(0x0006, &[0, 0, 0, 0])), FieldError::Session);
    assert_eq!(field(ControlMessage::decode(0x0007, &[0, 0, 0])), FieldError::Session);
    assert_eq!(field(ControlMessage::decode(0x000a, &[0, 1, 1])), FieldError::Session);
    assert_eq!(field(ControlMessage::decode(0x000b, &[0, 0])), FieldError::Session);
    assert_eq!(field(ControlMessage::decode(0x000c, &[0, 0])), FieldError::Session);
    assert_eq!(field(ControlMessage::decode(0x000f, b"\x00\x041234")), FieldError::Session);
    assert_eq!(field(LaneMessage::decode(0x0201, &[0, 1])), FieldError::Session);
}

#[test]
fn sequence_number_zero_is_refused() {
    assert_eq!(field(ControlMessage::decode(0x000a, &[1, 1, 0])), FieldError::Sequence);
    assert_eq!(field(LaneMessage::decode(0x0202, &[0, 0, 0, 0, 0, 0])), FieldError::Sequence);
    assert_eq!(field(LaneMessage::decode(0x0203, &[0, 0, 0, 0])), FieldError::Sequence);
}

#[test]
fn endpoints_that_have_no_lane_are_refused() {
    for endpoint in [0x10, 0x7f, 0x80, 0xff] {
        let expected = FieldError::Endpoint(endpoint);
        assert_eq!(field(ControlMessage::decode(0x000a, &[1, endpoint, 1])), expected);
        assert_eq!(field(LaneMessage::decode(0x0201, &[1, endpoint])), expected);
        for kind in [0x000b, 0x000c] {
            assert_eq!(field(ControlMessage::decode(kind, &[1, 1, endpoint, 0])), expected);
            // Not the first one either.
            assert_eq!(field(ControlMessage::decode(kind, &[1, 2, 0x81, 0, endpoint, 0])), expected);
        }
    }
}

#[test]
fn transfers_beyond_the_limit_are_refused() {
    // 16 MiB + 1 in the decoder's variable length
    let length = [0x81, 0x80, 0x80, 0x08];
    let expected = FieldError::UrbTooLong(MAX_URB_LEN + 1);
    let submit = [&[1, 0, 0], length.as_slice(), &[0, 0]].concat();
    assert_eq!(field(LaneMessage::decode(0x0202, &submit)), expected);
    let complete = [&[1, 0], length.as_slice(), &[0]].concat();
    assert_eq!(field(LaneMessage::decode(0x0203, &complete)), expected);
}

#[test]
fn more_packets_than_the_limit_are_refused() {
    // 1025 in the decoder's variable length
    let packets = [0x81, 0x08];
    let expected = FieldError::TooManyPackets(1025);
    let submit = [[1, 0, 0, 0, 0].as_slice(), &packets].concat();
    assert_eq!(field(LaneMessage::decode(0x0202, &submit)), expected);
    let complete = [[1, 0, 0].as_slice(), &packets].concat();
    assert_eq!(field(LaneMessage::decode(0x0203, &complete)), expected);
}

#[test]
fn texts_beyond_the_limit_or_with_control_characters_are_refused() {
    let label = |text: &str| {
        let mut header = vec![text.len() as u8];
        if text.len() > 127 {
            header = vec![text.len() as u8 | 0x80, (text.len() >> 7) as u8];
        }
        header.extend_from_slice(text.as_bytes());
        header.push(0);
        PairingMessage::decode(0x0102, &header)
    };
    assert!(label(&"x".repeat(MAX_TEXT)).is_ok());
    let (field_name, len, limit) = ("label", MAX_TEXT + 1, MAX_TEXT);
    assert_eq!(field(label(&"x".repeat(len))), FieldError::TextTooLong { field: field_name, len, limit });
    for text in ["a\nb", "\u{1b}[2J", "\0", "\u{202e}cod.exe"] {
        assert_eq!(field(label(text)), FieldError::Unprintable { field: field_name });
    }
}

#[test]
fn pins_that_are_none_are_refused() {
    let pin = |text: &[u8]| ControlMessage::decode(0x000f, &[&[1, text.len() as u8], text].concat());
    assert!(pin(b"1234").is_ok() && pin(&[b'7'; 64]).is_ok());
    for len in [0, 3, 65, 127] {
        assert_eq!(field(pin(&vec![b'7'; len])), FieldError::PinLength { len });
    }
    assert_eq!(field(pin(b"1234\n")), FieldError::Unprintable { field: "pin" });
    assert!(matches!(pin(b"12\xff4"), Err(ProtocolError::Malformed { .. })));
}

#[test]
fn text_that_is_not_utf8_and_addresses_that_are_none_are_refused() {
    for header in [[2, 0xff, 0xfe, 0].as_slice(), &[0, 1, 1, 3, b'1', b'.', b'2']] {
        let result = PairingMessage::decode(0x0102, header);
        assert!(matches!(result, Err(ProtocolError::Malformed { .. })), "{result:?}");
    }
}

#[test]
fn device_ids_that_are_no_object_path_element_are_refused() {
    assert_eq!(field(ControlMessage::decode(0x0003, &[0])), FieldError::DeviceId);
    assert_eq!(field(ControlMessage::decode(0x0003, b"\x03../")), FieldError::DeviceId);
    assert_eq!(field(ControlMessage::decode(0x0005, b"\x01\x03a b")), FieldError::DeviceId);
}

#[test]
fn lists_beyond_the_limit_are_refused() {
    // One address more than allowed, each of an unknown kind and empty.
    let addresses = |count: u8| {
        let header = [&[0, count], [9, 0].repeat(count.into()).as_slice()].concat();
        PairingMessage::decode(0x0102, &header)
    };
    assert!(addresses(16).is_ok());
    assert!(matches!(addresses(17), Err(ProtocolError::Malformed { .. })));
    // The same with the lanes of a session.
    for kind in [0x000b, 0x000c] {
        let lanes = |count: u8| {
            let header = [&[1, count], [0x81, 5].repeat(count.into()).as_slice()].concat();
            ControlMessage::decode(kind, &header)
        };
        assert!(lanes(32).is_ok());
        assert!(matches!(lanes(33), Err(ProtocolError::Malformed { .. })));
    }
}

const SUBMIT: Submit = Submit { seq: 1, received: 0, flags: UrbFlags::empty(), length: 100, setup: None, packets: 0 };

#[test]
fn a_submit_has_the_payload_that_its_direction_calls_for() {
    let payload = |expected, got| FieldError::Payload { expected, got };
    assert_eq!(SUBMIT.check(0x02, 100), Ok(()));
    assert_eq!(field(SUBMIT.check(0x02, 99)), payload(100, 99));
    assert_eq!(field(SUBMIT.check(0x02, 0)), payload(100, 0));
    assert_eq!(SUBMIT.check(0x81, 0), Ok(()));
    assert_eq!(field(SUBMIT.check(0x81, 100)), payload(0, 100));
}

#[test]
fn the_table_of_an_isochronous_urb_counts_as_payload() {
    let payload = |expected, got| FieldError::Payload { expected, got };
    let submit = Submit { packets: 8, ..SUBMIT };
    assert_eq!(submit.check(0x02, 132), Ok(()));
    assert_eq!(field(submit.check(0x02, 100)), payload(132, 100));
    assert_eq!(submit.check(0x81, 32), Ok(()));
    let complete = Complete { seq: 1, status: UrbStatus::Ok, actual_length: 100, packets: 8 };
    assert_eq!(complete.check(Direction::In, 100, 140), Ok(()));
    assert_eq!(complete.check(Direction::Out, 100, 40), Ok(()));
    assert_eq!(field(complete.check(Direction::In, 100, 100)), payload(140, 100));
}

#[test]
fn a_setup_packet_belongs_to_the_control_endpoint() {
    let control = |request_type| Submit { setup: Some([request_type, 0, 0, 0, 0, 0, 100, 0]), ..SUBMIT };
    assert_eq!(control(0x00).check(0, 100), Ok(()));
    assert_eq!(control(0x80).check(0, 0), Ok(()));
    let payload = FieldError::Payload { expected: 0, got: 100 };
    assert_eq!(field(control(0x80).check(0, 100)), payload);
    assert_eq!(field(control(0x80).check(0x81, 0)), FieldError::Setup);
    assert_eq!(field(SUBMIT.check(0, 100)), FieldError::Setup);
}

#[test]
fn a_completion_is_held_against_its_urb() {
    let complete = |actual_length| Complete { seq: 1, status: UrbStatus::Ok, actual_length, packets: 0 };
    assert_eq!(complete(100).check(Direction::In, 100, 100), Ok(()));
    assert_eq!(complete(100).check(Direction::Out, 100, 0), Ok(()));
    assert_eq!(
        field(complete(101).check(Direction::In, 100, 101)),
        FieldError::MoreThanSubmitted { actual: 101, submitted: 100 }
    );
    assert_eq!(field(complete(100).check(Direction::In, 100, 99)), FieldError::Payload { expected: 100, got: 99 });
    assert_eq!(field(complete(100).check(Direction::Out, 100, 100)), FieldError::Payload { expected: 0, got: 100 });
}
