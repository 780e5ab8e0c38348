//! Reads bytes from anywhere as the kernel's commands, the way the pump does, and checks what must hold for any bytes at
//! all.
//!
//! The fuzz target and the daemon's tests include this file beside the parser.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use p2pusb_protocol::{IsoPacket, MAX_ISO_PACKETS, MAX_URB_LEN, UrbStatus};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::buffers::Buffers;

use super::usbip::{Command, Submit, read_command};

/// Does not wait: a slice always has its bytes ready, or ends.
fn next(from: &mut (impl AsyncRead + Unpin), buffers: &Buffers) -> Option<Command> {
    match pin!(read_command(from, buffers)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(command) => command.ok(),
        Poll::Pending => panic!("it waits for bytes that a slice can't have"),
    }
}

/// Reads the bytes in two pieces, as a socket may deliver them. The first byte says where they are cut.
pub(super) fn check(bytes: &[u8]) {
    let Some((&at, bytes)) = bytes.split_first() else { return };
    let (first, second) = bytes.split_at(bytes.len().min(at.into()));
    let mut whole = bytes;
    let mut pieces = first.chain(second);
    let buffers = Buffers::new();
    while let Some(command) = next(&mut whole, &buffers) {
        assert_eq!(Some(&command), next(&mut pieces, &buffers).as_ref());
        if let Command::Submit(urb) = command {
            // A lane of the protocol, and nothing else.
            assert!(urb.endpoint & 0x70 == 0 && urb.endpoint != 0x80);
            assert!(urb.endpoint == 0 || (urb.endpoint & 0x80 != 0) == urb.input);
            assert!(urb.length <= MAX_URB_LEN);
            assert_eq!(urb.data.len(), if urb.input { 0 } else { urb.length as usize });
            check_packets(&urb);
        }
    }
    assert_eq!(next(&mut pieces, &buffers), None);
}

/// What goes to the peer is what the packets carry, and what goes back are as many packets.
fn check_packets(urb: &Submit) {
    let packets = &urb.packets;
    assert!(packets.count() <= MAX_ISO_PACKETS && packets.lengths().len() == usize::from(packets.count()));
    let Some(carried) = packets.length(urb.length) else { return };
    if !urb.input {
        assert_eq!(packets.gather(urb.data.clone()).len(), carried as usize);
    }
    let outcomes = packets.lengths().map(|actual_length| IsoPacket { actual_length, status: UrbStatus::Stalled });
    let (descriptors, failed) = packets.answer(outcomes);
    assert_eq!((descriptors.len(), failed), (16 * usize::from(packets.count()), packets.count().into()));
}

#[cfg(test)]
#[test]
fn what_the_fuzzer_has_found_is_survived() {
    crate::fuzz_seeds::each("usbip_commands", check);
}
