//! Reads bytes from anywhere as a stream of frames, the way a daemon does, and checks what must hold for
//! any bytes at all.

use p2pusb_protocol::{ControlMessage, Direction, FrameLimits, LaneMessage, PREFIX_LEN, PairingMessage, Prefix};

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
                        let fits = submit.check(endpoint, prefix.payload_len).is_ok();
                        if fits && submit.direction(endpoint) == Direction::Out {
                            assert_eq!(payload.len(), submit.length as usize);
                        }
                    }
                    LaneMessage::Complete(complete) => {
                        let submitted = 4096;
                        let fits = complete.check(Direction::In, submitted, prefix.payload_len);
                        if fits.is_ok() {
                            assert!(payload.len() <= submitted as usize);
                            assert_eq!(payload.len(), complete.actual_length as usize);
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
