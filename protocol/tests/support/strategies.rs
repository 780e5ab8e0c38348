//! Arbitrary messages.

use std::net::SocketAddr;

use p2pusb_protocol::{
    Attach, AttachRefused, Attached, Commitment, Complete, ControlMessage, EndReason, Ending, Hello, InterfaceClass,
    LaneMessage, LanePosition, MAJOR, MAX_ADDRESSES, MAX_INTERFACES, MAX_ISO_PACKETS, MAX_LANES, MAX_URB_LEN, Nonce,
    OfferedDevice, PairChallenge, PairProposal, PairRefusal, PairRequest, PairingMessage, PeerAddress, Pin, Refusal,
    Resume, Resumed, SessionId, ShownPin, Speed, Submit, TicketSecret, UrbFlags, UrbStatus, clip,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Any text that may be sent, among them empty ones and ones of the full length.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,80}".prop_map(|text| clip(&text))
}

fn device_id() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_]{1,64}"
}

/// Any PIN: the shortest of these characters is one byte long, the longest four.
fn pin() -> impl Strategy<Value = Pin> {
    let text = prop_oneof!["[0-9]{4,64}", "[\\x20-~é串🔑]{4,16}"];
    text.prop_map(|text| Pin::new(text).expect("4 to 64 bytes"))
}

fn address() -> impl Strategy<Value = PeerAddress> {
    prop_oneof![
        // Scope and flow of IPv6 addresses do not travel.
        any::<SocketAddr>().prop_map(|a| PeerAddress::Ip(SocketAddr::new(a.ip(), a.port()))),
        "https://[a-z0-9.]{1,200}/".prop_map(PeerAddress::Relay),
    ]
}

fn addresses() -> impl Strategy<Value = Vec<PeerAddress>> {
    vec(address(), 0..=MAX_ADDRESSES)
}

fn session() -> impl Strategy<Value = SessionId> {
    (1..=u64::MAX).prop_map(SessionId)
}

/// Small numbers as often as large ones.
fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![1..1000_u64, 1..=u64::MAX]
}

fn endpoint() -> impl Strategy<Value = u8> {
    prop_oneof![0x00..=0x0f_u8, 0x81..=0x8f_u8]
}

/// A number of completions, or of the last URB: unlike the number of a URB it may be 0.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..1000_u64, any::<u64>()]
}

fn positions() -> impl Strategy<Value = Vec<LanePosition>> {
    let position = (endpoint(), count()).prop_map(|(endpoint, position)| LanePosition { endpoint, position });
    vec(position, 0..=MAX_LANES)
}

fn length() -> impl Strategy<Value = u32> {
    prop_oneof![0..=1024_u32, 0..=MAX_URB_LEN]
}

fn interface() -> impl Strategy<Value = InterfaceClass> {
    any::<(u8, u8, u8)>().prop_map(|(class, subclass, protocol)| InterfaceClass { class, subclass, protocol })
}

fn offered_device() -> impl Strategy<Value = OfferedDevice> {
    let numbers = any::<(u16, u16, u8, bool)>();
    let interfaces = vec(interface(), 0..=MAX_INTERFACES);
    let texts = (device_id(), text(), text());
    (numbers, texts, select(Speed::ALL), interfaces).prop_map(
        |((vendor_id, product_id, class, available), texts, speed, interfaces)| {
            let (id, manufacturer, product) = texts;
            OfferedDevice { id, vendor_id, product_id, class, manufacturer, product, speed, interfaces, available }
        },
    )
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<u16>(), any::<u64>(), any::<u64>(), text(), text(), addresses()).prop_map(
        |(minor, features, instance, software, label, addresses)| Hello {
            major: MAJOR,
            minor,
            features,
            instance,
            software,
            label,
            addresses,
        },
    )
}

/// Any valid message on the control stream.
pub(crate) fn control_message() -> impl Strategy<Value = ControlMessage> {
    use ControlMessage as M;
    let attached = (session(), select(Speed::ALL), any::<(u16, u16)>());
    prop_oneof![
        hello().prop_map(M::Hello),
        offered_device().prop_map(M::DeviceOffered),
        device_id().prop_map(|id| M::DeviceWithdrawn { id }),
        Just(M::DevicesComplete),
        (session(), pin()).prop_map(|(session, pin)| M::Pin(ShownPin { session, pin })),
        (session(), device_id()).prop_map(|(session, device)| M::Attach(Attach { session, device })),
        attached.prop_map(|(session, speed, (vendor_id, product_id))| {
            M::Attached(Attached { session, speed, vendor_id, product_id })
        }),
        (session(), select(Refusal::ALL), text())
            .prop_map(|(session, reason, detail)| { M::AttachRefused(AttachRefused { session, reason, detail }) }),
        session().prop_map(|session| M::Detach { session }),
        session().prop_map(|session| M::Asking { session }),
        (session(), select(EndReason::ALL)).prop_map(|(session, reason)| M::Ended { session, reason }),
        (session(), endpoint(), seq()).prop_map(|(session, endpoint, seq)| M::Unlink { session, endpoint, seq }),
        (device_id(), any::<bool>()).prop_map(|(id, waits)| M::Queue { id, waits }),
        (session(), positions()).prop_map(|(session, lanes)| M::Resume(Resume { session, lanes })),
        (session(), positions()).prop_map(|(session, lanes)| M::Resumed(Resumed { session, lanes })),
        (session(), select(EndReason::ALL), any::<u64>()).prop_map(|(session, reason, left_usec)| M::Ending(Ending {
            session,
            reason,
            left_usec
        })),
    ]
}

/// Any valid message on a pairing stream.
pub(crate) fn pairing_message() -> impl Strategy<Value = PairingMessage> {
    let request = (any::<u16>(), any::<[u8; 16]>(), text(), addresses());
    prop_oneof![
        request.prop_map(|(minor, secret, label, addresses)| {
            PairingMessage::Request(PairRequest { major: MAJOR, minor, secret: TicketSecret(secret), label, addresses })
        }),
        (text(), addresses()).prop_map(|(label, addresses)| PairingMessage::Accepted { label, addresses }),
        select(PairRefusal::ALL).prop_map(PairingMessage::Refused),
        (any::<u16>(), any::<[u8; 32]>(), text(), addresses()).prop_map(|(minor, commitment, label, addresses)| {
            let commitment = Commitment(commitment);
            PairingMessage::Proposal(PairProposal { major: MAJOR, minor, commitment, label, addresses })
        }),
        (any::<[u8; 32]>(), text())
            .prop_map(|(nonce, label)| PairingMessage::Challenge(PairChallenge { nonce: Nonce(nonce), label })),
        any::<[u8; 32]>().prop_map(|nonce| PairingMessage::Reveal { nonce: Nonce(nonce) }),
        Just(PairingMessage::Agreed),
    ]
}

/// Any number of packets.
fn packets() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), 0..=MAX_ISO_PACKETS]
}

/// Any valid message on a lane.
pub(crate) fn lane_message() -> impl Strategy<Value = LaneMessage> {
    let flags = (0..=3_u8).prop_map(UrbFlags::from_bits);
    let submit = (seq(), count(), flags, length(), option::of(any::<[u8; 8]>()), packets());
    let complete = (seq(), select(UrbStatus::ALL), length(), packets());
    prop_oneof![
        (session(), endpoint()).prop_map(|(session, endpoint)| LaneMessage::Open { session, endpoint }),
        submit.prop_map(|(seq, received, flags, length, setup, packets)| {
            LaneMessage::Submit(Submit { seq, received, flags, length, setup, packets })
        }),
        complete.prop_map(|(seq, status, actual_length, packets)| {
            LaneMessage::Complete(Complete { seq, status, actual_length, packets })
        }),
        count().prop_map(|received| LaneMessage::Acknowledge { received }),
    ]
}
