//! The bytes of every message, one by one. A test here that has to be changed is a break of the protocol.

use bytes::Bytes;
use p2pusb_protocol::{
    Attach, AttachRefused, Attached, Commitment, Complete, ControlMessage, EndReason, Ending, Hello, InterfaceClass,
    IsoPacket, LaneMessage, LanePosition, MAJOR, MINOR, Nonce, OfferedDevice, PREFIX_LEN, PairChallenge, PairProposal,
    PairRefusal, PairRequest, PairingMessage, PeerAddress, Pin, Prefix, Refusal, Resume, Resumed, SessionId, ShownPin,
    Speed, Submit, TicketSecret, UrbFlags, UrbStatus, iso,
};

/// A frame as pieces of hex with their meaning.
type Snapshot = [(&'static str, &'static str)];

fn assert_frame(frame: &Bytes, snapshot: &Snapshot) {
    let expected: Vec<u8> = snapshot
        .iter()
        .flat_map(|(hex, _)| hex.split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits"))
        .collect();
    assert_eq!(hex(frame), hex(&expected));
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// Takes a frame apart, and checks that its prefix tells its length.
fn parts(frame: &Bytes) -> (u16, &[u8]) {
    let (prefix, header) = frame.split_first_chunk::<PREFIX_LEN>().expect("a prefix");
    let prefix = Prefix::decode(*prefix);
    assert_eq!(usize::from(prefix.header_len), header.len());
    (prefix.kind, header)
}

fn assert_control(message: &ControlMessage, snapshot: &Snapshot) {
    let frame = message.encode();
    assert_frame(&frame, snapshot);
    let (kind, header) = parts(&frame);
    assert_eq!(ControlMessage::decode(kind, header), Ok(Some(message.clone())));
}

fn assert_pairing(message: &PairingMessage, snapshot: &Snapshot) {
    let frame = message.encode();
    assert_frame(&frame, snapshot);
    let (kind, header) = parts(&frame);
    assert_eq!(PairingMessage::decode(kind, header), Ok(Some(message.clone())));
}

fn assert_lane(message: &LaneMessage, payload_len: u32, snapshot: &Snapshot) {
    let frame = message.encode(payload_len);
    assert_frame(&frame, snapshot);
    let (kind, header) = parts(&frame);
    assert_eq!(LaneMessage::decode(kind, header), Ok(Some(message.clone())));
}

const SESSION: SessionId = SessionId(300);

#[test]
fn hello() {
    let message = ControlMessage::Hello(Hello {
        major: MAJOR,
        minor: MINOR,
        features: 0,
        instance: 0x1234,
        software: "p2pusbd 1.0".into(),
        label: "workshop".into(),
        addresses: vec![
            PeerAddress::Ip(([192, 0, 2, 1], 4433).into()),
            PeerAddress::Ip("[2001:db8::7]:99".parse().expect("an address")),
            PeerAddress::Relay("https://relay.example/".into()),
        ],
    });
    assert_control(
        &message,
        &[
            ("01 00", "kind"),
            ("55 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("01", "major"),
            ("02", "minor"),
            ("00", "features"),
            ("b4 24", "instance: 1234"),
            ("0b 70 32 70 75 73 62 64 20 31 2e 30", "software: p2pusbd 1.0"),
            ("08 77 6f 72 6b 73 68 6f 70", "label: workshop"),
            ("03", "number of addresses"),
            ("01", "an IP address"),
            ("0e 31 39 32 2e 30 2e 32 2e 31 3a 34 34 33 33", "192.0.2.1:4433"),
            ("01", "an IP address"),
            ("10 5b 32 30 30 31 3a 64 62 38 3a 3a 37 5d 3a 39 39", "[2001:db8::7]:99"),
            ("02", "a relay"),
            ("16 68 74 74 70 73 3a 2f 2f 72 65 6c 61 79 2e 65 78 61 6d 70 6c 65 2f", "https://relay.example/"),
        ],
    );
}

#[test]
fn device_offered() {
    let message = ControlMessage::DeviceOffered(OfferedDevice {
        id: "0a1b2c3d".into(),
        vendor_id: 0x0403,
        product_id: 0x6001,
        class: 0,
        manufacturer: "FTDI".into(),
        product: "Sérial".into(),
        speed: Speed::Full,
        interfaces: vec![
            InterfaceClass { class: 0xff, subclass: 0xff, protocol: 0xff },
            InterfaceClass { class: 3, subclass: 1, protocol: 2 },
        ],
        available: true,
    });
    assert_control(
        &message,
        &[
            ("02 00", "kind"),
            ("25 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("08 30 61 31 62 32 63 33 64", "id: 0a1b2c3d"),
            ("83 08", "idVendor: 0403"),
            ("81 c0 01", "idProduct: 6001"),
            ("00", "class"),
            ("04 46 54 44 49", "manufacturer: FTDI"),
            ("07 53 c3 a9 72 69 61 6c", "product: Sérial"),
            ("02", "speed: full"),
            ("02", "number of interfaces"),
            ("ff ff ff", "class, subclass, protocol"),
            ("03 01 02", "class, subclass, protocol"),
            ("01", "available"),
        ],
    );
}

#[test]
fn device_withdrawn() {
    assert_control(
        &ControlMessage::DeviceWithdrawn { id: "0a1b2c3d".into() },
        &[
            ("03 00", "kind"),
            ("09 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("08 30 61 31 62 32 63 33 64", "id: 0a1b2c3d"),
        ],
    );
}

#[test]
fn devices_complete() {
    assert_control(
        &ControlMessage::DevicesComplete,
        &[("04 00", "kind"), ("00 00", "length of the header"), ("00 00 00 00", "length of the payload")],
    );
}

#[test]
fn attach() {
    let message = ControlMessage::Attach(Attach { session: SESSION, device: "0a1b2c3d".into() });
    assert_control(
        &message,
        &[
            ("05 00", "kind"),
            ("0b 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("08 30 61 31 62 32 63 33 64", "device: 0a1b2c3d"),
        ],
    );
}

#[test]
fn attached() {
    let message = ControlMessage::Attached(Attached {
        session: SESSION,
        speed: Speed::SuperPlus,
        vendor_id: 0x0403,
        product_id: 0x6001,
    });
    let frame = message.encode_with_payload_len(0x1234);
    assert_frame(
        &frame,
        &[
            ("06 00", "kind"),
            ("08 00", "length of the header"),
            ("34 12 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("05", "speed: super-plus"),
            ("83 08", "idVendor: 0403"),
            ("81 c0 01", "idProduct: 6001"),
        ],
    );
    let (kind, header) = parts(&frame);
    assert_eq!(ControlMessage::decode(kind, header), Ok(Some(message)));
}

#[test]
fn attach_refused() {
    let message =
        ControlMessage::AttachRefused(AttachRefused { session: SESSION, reason: Refusal::Busy, detail: "lab".into() });
    assert_control(
        &message,
        &[
            ("07 00", "kind"),
            ("07 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("02", "reason: busy"),
            ("03 6c 61 62", "detail: lab"),
        ],
    );
}

#[test]
fn detach() {
    assert_control(
        &ControlMessage::Detach { session: SESSION },
        &[
            ("08 00", "kind"),
            ("02 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
        ],
    );
}

#[test]
fn ended() {
    let message = ControlMessage::Ended { session: SESSION, reason: EndReason::DeviceUnplugged };
    assert_control(
        &message,
        &[
            ("09 00", "kind"),
            ("03 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("01", "reason: device-unplugged"),
        ],
    );
}

#[test]
fn unlink() {
    let message = ControlMessage::Unlink { session: SESSION, endpoint: 0x81, seq: u64::MAX };
    assert_control(
        &message,
        &[
            ("0a 00", "kind"),
            ("0d 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("81", "endpoint"),
            ("ff ff ff ff ff ff ff ff ff 01", "number of the URB"),
        ],
    );
}

#[test]
fn resume() {
    let lanes = vec![
        LanePosition { endpoint: 0x00, position: 0 },
        LanePosition { endpoint: 0x81, position: 300 },
        LanePosition { endpoint: 0x02, position: u64::MAX },
    ];
    assert_control(
        &ControlMessage::Resume(Resume { session: SESSION, lanes }),
        &[
            ("0b 00", "kind"),
            ("13 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("03", "number of lanes"),
            ("00 00", "endpoint, completions received: 0"),
            ("81 ac 02", "endpoint, completions received: 300"),
            ("02 ff ff ff ff ff ff ff ff ff 01", "endpoint, completions received"),
        ],
    );
    // A session on which nothing was opened yet.
    assert_control(
        &ControlMessage::Resume(Resume { session: SESSION, lanes: Vec::new() }),
        &[
            ("0b 00", "kind"),
            ("03 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("00", "number of lanes"),
        ],
    );
}

#[test]
fn queue() {
    assert_control(
        &ControlMessage::Queue { id: "0a1b2c3d".to_owned(), waits: true },
        &[
            ("0d 00", "kind"),
            ("0a 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("08 30 61 31 62 32 63 33 64", "id: 0a1b2c3d"),
            ("01", "waits"),
        ],
    );
}

#[test]
fn resumed() {
    let lanes = vec![LanePosition { endpoint: 0x00, position: 7 }, LanePosition { endpoint: 0x81, position: 301 }];
    assert_control(
        &ControlMessage::Resumed(Resumed { session: SESSION, lanes }),
        &[
            ("0c 00", "kind"),
            ("08 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("02", "number of lanes"),
            ("00 07", "endpoint, number of the last URB: 7"),
            ("81 ad 02", "endpoint, number of the last URB: 301"),
        ],
    );
}

#[test]
fn ending() {
    assert_control(
        &ControlMessage::Ending(Ending { session: SESSION, reason: EndReason::SessionLimit, left_usec: 300_000_000 }),
        &[
            ("0e 00", "kind"),
            ("08 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("0d", "reason: session-limit"),
            ("80 c6 86 8f 01", "microseconds that are left: 300000000"),
        ],
    );
}

#[test]
fn asking() {
    let length = "length of the header";
    assert_control(
        &ControlMessage::Asking { session: SESSION },
        &[("10 00", "kind"), ("02 00", length), ("00 00 00 00", "length of the payload"), ("ac 02", "session: 300")],
    );
}

#[test]
fn pin() {
    assert_control(
        &ControlMessage::Pin(ShownPin { session: SESSION, pin: Pin::new("née 7".to_owned()).expect("a PIN") }),
        &[
            ("0f 00", "kind"),
            ("09 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("06 6e c3 a9 65 20 37", "pin: née 7"),
        ],
    );
}

#[test]
fn pair_request() {
    let message = PairingMessage::Request(PairRequest {
        major: MAJOR,
        minor: MINOR,
        secret: TicketSecret(*b"0123456789abcdef"),
        label: "desk".into(),
        addresses: vec![PeerAddress::Ip(([192, 0, 2, 1], 4433).into())],
    });
    assert_pairing(
        &message,
        &[
            ("01 01", "kind"),
            ("28 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("01", "major"),
            ("02", "minor"),
            ("30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66", "secret"),
            ("04 64 65 73 6b", "label: desk"),
            ("01", "number of addresses"),
            ("01", "an IP address"),
            ("0e 31 39 32 2e 30 2e 32 2e 31 3a 34 34 33 33", "192.0.2.1:4433"),
        ],
    );
}

#[test]
fn pair_accepted() {
    let message = PairingMessage::Accepted { label: "desk".into(), addresses: Vec::new() };
    assert_pairing(
        &message,
        &[
            ("02 01", "kind"),
            ("06 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("04 64 65 73 6b", "label: desk"),
            ("00", "number of addresses"),
        ],
    );
}

#[test]
fn pair_refused() {
    assert_pairing(
        &PairingMessage::Refused(PairRefusal::Expired),
        &[
            ("03 01", "kind"),
            ("01 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("02", "reason: expired"),
        ],
    );
}

#[test]
fn pair_proposal() {
    let message = PairingMessage::Proposal(PairProposal {
        major: MAJOR,
        minor: MINOR,
        commitment: Commitment([7; 32]),
        label: "desk".into(),
        addresses: Vec::new(),
    });
    let commitment = ["07"; 32].join(" ");
    let snapshot = [
        ("04 01", "kind"),
        ("28 00", "length of the header"),
        ("00 00 00 00", "length of the payload"),
        ("01", "major"),
        ("02", "minor"),
        (commitment.leak(), "commitment"),
        ("04 64 65 73 6b", "label: desk"),
        ("00", "number of addresses"),
    ];
    assert_pairing(&message, &snapshot);
}

#[test]
fn pair_challenge_and_reveal() {
    let nonce: &'static str = ["09"; 32].join(" ").leak();
    let message = PairingMessage::Challenge(PairChallenge { nonce: Nonce([9; 32]), label: "desk".into() });
    let snapshot = [
        ("05 01", "kind"),
        ("25 00", "length of the header"),
        ("00 00 00 00", "length of the payload"),
        (nonce, "nonce"),
        ("04 64 65 73 6b", "label: desk"),
    ];
    assert_pairing(&message, &snapshot);
    let reveal = PairingMessage::Reveal { nonce: Nonce([9; 32]) };
    let length = "length of the header";
    assert_pairing(&reveal, &[("06 01", "kind"), ("20 00", length), ("00 00 00 00", "no payload"), (nonce, "nonce")]);
}

#[test]
fn pair_agreed() {
    let snapshot = [("07 01", "kind"), ("00 00", "length of the header"), ("00 00 00 00", "length of the payload")];
    assert_pairing(&PairingMessage::Agreed, &snapshot);
}

#[test]
fn lane_open() {
    let message = LaneMessage::Open { session: SESSION, endpoint: 0x81 };
    assert_lane(
        &message,
        0,
        &[
            ("01 02", "kind"),
            ("03 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "session: 300"),
            ("81", "endpoint"),
        ],
    );
}

#[test]
fn submit_out() {
    let message = LaneMessage::Submit(Submit {
        seq: 5,
        received: 300,
        flags: UrbFlags::ZERO_PACKET,
        length: 512,
        setup: None,
        packets: 0,
    });
    assert_lane(
        &message,
        512,
        &[
            ("02 02", "kind"),
            ("08 00", "length of the header"),
            ("00 02 00 00", "length of the payload"),
            ("05", "number of the URB"),
            ("ac 02", "completions received: 300"),
            ("02", "flags: zero packet"),
            ("80 04", "length: 512"),
            ("00", "no setup packet"),
            ("00", "packets"),
        ],
    );
}

#[test]
fn submit_control_in() {
    let message = LaneMessage::Submit(Submit {
        seq: 1,
        received: 0,
        flags: UrbFlags::SHORT_NOT_OK,
        length: 18,
        setup: Some([0x80, 6, 0, 1, 0, 0, 18, 0]),
        packets: 0,
    });
    assert_lane(
        &message,
        0,
        &[
            ("02 02", "kind"),
            ("0e 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("01", "number of the URB"),
            ("00", "completions received: 0"),
            ("01", "flags: short not ok"),
            ("12", "length: 18"),
            ("01 80 06 00 01 00 00 12 00", "setup packet"),
            ("00", "packets"),
        ],
    );
}

#[test]
fn complete() {
    let message =
        LaneMessage::Complete(Complete { seq: 1, status: UrbStatus::Stalled, actual_length: 300, packets: 0 });
    assert_lane(
        &message,
        300,
        &[
            ("03 02", "kind"),
            ("05 00", "length of the header"),
            ("2c 01 00 00", "length of the payload"),
            ("01", "number of the URB"),
            ("02", "status: stalled"),
            ("ac 02", "bytes transferred: 300"),
            ("00", "packets"),
        ],
    );
}

#[test]
fn isochronous() {
    let submit = Submit { seq: 2, received: 0, flags: UrbFlags::empty(), length: 300, setup: None, packets: 2 };
    assert_lane(
        &LaneMessage::Submit(submit),
        8,
        &[
            ("02 02", "kind"),
            ("07 00", "length of the header"),
            ("08 00 00 00", "length of the payload"),
            ("02", "number of the URB"),
            ("00", "completions received: 0"),
            ("00", "flags: none"),
            ("ac 02", "length: 300"),
            ("00", "no setup packet"),
            ("02", "packets"),
        ],
    );
    let greatest = Submit {
        seq: u64::MAX,
        received: u64::MAX,
        length: u32::MAX,
        setup: Some([0; 8]),
        packets: u16::MAX,
        ..submit
    };
    assert_eq!(LaneMessage::Submit(greatest).encode(0).len(), LaneMessage::MAX_ENCODED);
    let packet = |actual_length, status| IsoPacket { actual_length, status };
    assert_eq!(iso::encode_lengths(&[44, 256])[..], [44, 0, 0, 0, 0, 1, 0, 0]);
    let packets = [packet(44, UrbStatus::Ok), packet(0, UrbStatus::Failed)];
    assert_eq!(iso::encode_packets(&packets)[..], [44, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn acknowledge() {
    assert_lane(
        &LaneMessage::Acknowledge { received: 300 },
        0,
        &[
            ("04 02", "kind"),
            ("02 00", "length of the header"),
            ("00 00 00 00", "length of the payload"),
            ("ac 02", "completions received: 300"),
        ],
    );
}

/// The last byte of the header that each value of an enum is sent as.
fn numbers<T: Copy>(values: &[T], frame: impl Fn(T) -> Bytes, place_from_end: usize) -> Vec<u8> {
    values
        .iter()
        .map(|&value| {
            let frame = frame(value);
            frame[frame.len() - place_from_end]
        })
        .collect()
}

#[test]
fn the_numbers_of_enums() {
    let session = SESSION;
    let ended = |reason| ControlMessage::Ended { session, reason }.encode();
    let reasons = [
        EndReason::Detached,
        EndReason::DeviceUnplugged,
        EndReason::ShareRevoked,
        EndReason::PeerStopped,
        EndReason::PeerLost,
        EndReason::PeerForgotten,
        EndReason::KernelDetached,
        EndReason::DeviceFailed,
        EndReason::ProtocolError,
        EndReason::Stopped,
        EndReason::PeerBlocked,
        EndReason::NotAccepted,
        EndReason::TakenBack,
        EndReason::SessionLimit,
        EndReason::HoursOver,
    ];
    assert_eq!(reasons, EndReason::ALL);
    assert_eq!(numbers(&reasons, ended, 1), (0..=14).collect::<Vec<u8>>());

    let refused = |reason| {
        let detail = String::new();
        ControlMessage::AttachRefused(AttachRefused { session, reason, detail }).encode()
    };
    let refusals = [
        Refusal::Failed,
        Refusal::NotShared,
        Refusal::Busy,
        Refusal::Gone,
        Refusal::Unsupported,
        Refusal::LimitReached,
        Refusal::PinRequired,
        Refusal::PinWrong,
        Refusal::PinLocked,
        Refusal::Declined,
    ];
    assert_eq!(refusals, Refusal::ALL);
    assert_eq!(numbers(&refusals, refused, 2), (0..=9).collect::<Vec<u8>>());

    let attached = |speed| {
        let (vendor_id, product_id) = (0, 0);
        ControlMessage::Attached(Attached { session, speed, vendor_id, product_id }).encode()
    };
    let speeds = [Speed::Unknown, Speed::Low, Speed::Full, Speed::High, Speed::Super, Speed::SuperPlus];
    assert_eq!(speeds, Speed::ALL);
    assert_eq!(numbers(&speeds, attached, 3), (0..=5).collect::<Vec<u8>>());

    let tickets = [
        PairRefusal::Unknown,
        PairRefusal::Used,
        PairRefusal::Expired,
        PairRefusal::Version,
        PairRefusal::NotShared,
        PairRefusal::NotAccepting,
        PairRefusal::Busy,
        PairRefusal::Declined,
        PairRefusal::Cheated,
    ];
    assert_eq!(tickets, PairRefusal::ALL);
    let refused = |reason| PairingMessage::Refused(reason).encode();
    assert_eq!(numbers(&tickets, refused, 1), [0, 1, 2, 3, 4, 5, 6, 7, 8]);

    let completed = |status| {
        let (seq, actual_length) = (1, 0);
        LaneMessage::Complete(Complete { seq, status, actual_length, packets: 0 }).encode(0)
    };
    let statuses = [
        UrbStatus::Ok,
        UrbStatus::Failed,
        UrbStatus::Stalled,
        UrbStatus::Cancelled,
        UrbStatus::ShortNotOk,
        UrbStatus::Overflow,
        UrbStatus::TimedOut,
        UrbStatus::Gone,
        UrbStatus::NoEndpoint,
        UrbStatus::NoMemory,
        UrbStatus::Invalid,
    ];
    assert_eq!(statuses, UrbStatus::ALL);
    assert_eq!(numbers(&statuses, completed, 3), (0..=10).collect::<Vec<u8>>());
}

#[test]
fn the_names_of_enums() {
    let reasons: Vec<&str> = EndReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let expected = "detached device-unplugged share-revoked peer-stopped peer-lost peer-forgotten \
                    kernel-detached device-failed protocol-error stopped peer-blocked \
                    not-accepted taken-back session-limit hours-over";
    assert_eq!(reasons.join(" "), expected);

    let refusals: Vec<&str> = Refusal::ALL.iter().map(|reason| reason.as_str()).collect();
    let expected = "failed not-shared busy gone unsupported limit-reached pin-required pin-wrong pin-locked declined";
    assert_eq!(refusals.join(" "), expected);

    let speeds: Vec<&str> = Speed::ALL.iter().map(|speed| speed.as_str()).collect();
    assert_eq!(speeds.join(" "), "unknown low full high super super-plus");
}

#[test]
fn the_errnos_of_linux() {
    let errnos: Vec<i32> = UrbStatus::ALL.iter().map(|status| status.errno()).collect();
    assert_eq!(errnos, [0, -71, -32, -104, -121, -75, -110, -108, -2, -12, -22]);
}
