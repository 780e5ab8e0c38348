//! Reads bytes from anywhere as a stream of frames, the way a daemon does, and checks what must hold for
//! any bytes at all.

use bytes::Bytes;
use p2pusb_protocol::{
    Complete, ControlMessage, Direction, FrameLimits, LaneMessage, PREFIX_LEN, PairingMessage, Prefix, Submit, iso,
};

/// One frame, and what follows it.
struct Frame<'a> {
    prefix: Prefix,
    header: &'a [u8],
    payload: &'a [u8],
    rest: &'a [u8],
}

/// Splits the first frame off. `None` where a reader would wait for more or close the connection.
fn next_frame(bytes: &[u8], limits: FrameLimits) -> Option<Frame<'_>> {
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX_LEN>()?;
    let prefix = Prefix::decode(*prefix);
    assert_eq!(prefix.encode(), bytes[..PREFIX_LEN]);
    prefix.check(limits).ok()?;
    assert!(prefix.header_len <= limits.header && prefix.payload_len <= limits.payload);
    let (header, rest) = rest.split_at_checked(prefix.header_len.into())?;
    let (payload, rest) = rest.split_at_checked(prefix.payload_len as usize)?;
    Some(Frame { prefix, header, payload, rest })
}

/// A message that was decoded is valid, so it survives being sent on.
fn assert_survives<M: PartialEq + std::fmt::Debug, E: PartialEq + std::fmt::Debug>(
    message: M,
    frame: &[u8],
    limits: FrameLimits,
    decode: impl Fn(u16, &[u8]) -> Result<Option<M>, E>,
) {
    let (prefix, header) = frame.split_first_chunk::<PREFIX_LEN>().expect("a prefix");
    let prefix = Prefix::decode(*prefix);
    assert_eq!(prefix.check(limits), Ok(()));
    assert_eq!(usize::from(prefix.header_len), header.len());
    assert_eq!(decode(prefix.kind, header), Ok(Some(message)));
}

/// Reads the bytes as a control stream.
pub(crate) fn read_control(mut bytes: &[u8]) {
    let limits = FrameLimits::CONTROL;
    while let Some(Frame { prefix, header, rest, .. }) = next_frame(bytes, limits) {
        match ControlMessage::decode(prefix.kind, header) {
            Ok(Some(message)) => {
                let frame = message.encode_with_payload_len(prefix.payload_len);
                assert_survives(message, &frame, limits, ControlMessage::decode);
            }
            Ok(None) => {}
            Err(_) => return,
        }
        bytes = rest;
    }
}

/// Reads the bytes as a pairing stream.
pub(crate) fn read_pairing(mut bytes: &[u8]) {
    let limits = FrameLimits::PAIRING;
    while let Some(Frame { prefix, header, rest, .. }) = next_frame(bytes, limits) {
        match PairingMessage::decode(prefix.kind, header) {
            Ok(Some(message)) => {
                let frame = message.encode();
                assert_survives(message, &frame, limits, PairingMessage::decode);
            }
            Ok(None) => {}
            Err(_) => return,
        }
        bytes = rest;
    }
}

/// The length of the URBs that are completed.
const SUBMITTED: u32 = 4096;

/// A submit whose payload has the length that it calls for.
fn check_submit(submit: &Submit, endpoint: u8, mut payload: Bytes) {
    if submit.packets > 0 {
        let Ok(lengths) = iso::decode_lengths(submit.packets, submit.length, &mut payload) else { return };
        assert_eq!(lengths.len(), usize::from(submit.packets));
        assert_eq!(lengths.iter().sum::<u32>(), submit.length);
    }
    let data = if submit.direction(endpoint) == Direction::Out { submit.length } else { 0 };
    assert_eq!(payload.len(), data as usize);
}

/// A completion of a URB whose packets, if it has any, share its length, and whose payload has the length that it calls
/// for.
fn check_complete(complete: &Complete, mut payload: Bytes) {
    if complete.packets > 0 {
        let most = SUBMITTED / u32::from(complete.packets);
        let lengths = vec![most; complete.packets.into()];
        let packets = iso::decode_packets(complete.packets, complete.actual_length, lengths.into_iter(), &mut payload);
        let Ok(packets) = packets else { return };
        assert_eq!(packets.len(), usize::from(complete.packets));
        assert!(packets.iter().all(|packet| packet.actual_length <= most));
        assert_eq!(packets.iter().map(|packet| packet.actual_length).sum::<u32>(), complete.actual_length);
    }
    assert!(payload.len() <= SUBMITTED as usize);
    assert_eq!(payload.len(), complete.actual_length as usize);
}

/// Reads the bytes as a lane. What an `Open` says is the endpoint for the frames that follow.
pub(crate) fn read_lane(mut bytes: &[u8]) {
    let limits = FrameLimits::LANE;
    let mut endpoint = 0;
    while let Some(Frame { prefix, header, payload, rest }) = next_frame(bytes, limits) {
        match LaneMessage::decode(prefix.kind, header) {
            Ok(Some(message)) => {
                match &message {
                    LaneMessage::Open { endpoint: opened, .. } => endpoint = *opened,
                    LaneMessage::Submit(submit) => {
                        if submit.check(endpoint, prefix.payload_len).is_ok() {
                            check_submit(submit, endpoint, Bytes::copy_from_slice(payload));
                        }
                    }
                    LaneMessage::Complete(complete) => {
                        if complete.check(Direction::In, SUBMITTED, prefix.payload_len).is_ok() {
                            check_complete(complete, Bytes::copy_from_slice(payload));
                        }
                    }
                    LaneMessage::Acknowledge { .. } => {}
                }
                let frame = message.encode(prefix.payload_len);
                assert_survives(message, &frame, limits, LaneMessage::decode);
            }
            Ok(None) => {}
            Err(_) => return,
        }
        bytes = rest;
    }
}
