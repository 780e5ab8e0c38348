//! vhci's side of USB/IP: Documentation/usb/usbip_protocol.rst, drivers/usb/usbip/vhci_tx.c and vhci_rx.c.

use bytes::Bytes;

pub(super) const HEADER_LEN: usize = 48;

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

/// include/linux/usb.h
const URB_DIR_IN: u32 = 0x0200;

/// What goes to the daemon: a header, and the data of an OUT transfer.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) header: [u8; HEADER_LEN],
    pub(super) data: Bytes,
}

/// What a URB has on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubmitWords {
    pub(super) seqnum: u32,
    pub(super) device_id: u32,
    pub(super) endpoint: u8,
    pub(super) input: bool,
    pub(super) flags: u32,
    pub(super) length: u32,
    pub(super) setup: [u8; 8],
}

/// What the daemon answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Submit { seqnum: u32, status: i32, actual_length: u32, packets: u32 },
    Unlink { seqnum: u32, status: i32 },
}

fn header(words: [u32; 10], setup: [u8; 8]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    for (slot, word) in header.chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_be_bytes());
    }
    header[40..].copy_from_slice(&setup);
    header
}

pub(super) fn cmd_submit(words: SubmitWords, data: Bytes) -> Message {
    let SubmitWords { seqnum, device_id, endpoint, input, flags, length, setup } = words;
    let (direction, flags) = if input { (1, flags | URB_DIR_IN) } else { (0, flags) };
    let number = u32::from(endpoint & 0x0f);
    let header = header([CMD_SUBMIT, seqnum, device_id, direction, number, flags, length, 0, 0, 0], setup);
    Message { header, data }
}

pub(super) fn cmd_unlink(seqnum: u32, device_id: u32, unlink: u32) -> Message {
    let header = header([CMD_UNLINK, seqnum, device_id, 0, 0, unlink, 0, 0, 0, 0], [0; 8]);
    Message { header, data: Bytes::new() }
}

/// Reads the header of an answer. An error is what vhci would complain of.
pub(super) fn answer(header: &[u8; HEADER_LEN]) -> Result<Answer, String> {
    let word = |index: usize| {
        let at = index * 4;
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (seqnum, status) = (word(1), word(5) as i32);
    if status > 0 {
        return Err(format!("the answer {seqnum} has the status {status}, and no errno is positive"));
    }
    match word(0) {
        RET_SUBMIT => Ok(Answer::Submit { seqnum, status, actual_length: word(6), packets: word(8) }),
        RET_UNLINK => Ok(Answer::Unlink { seqnum, status }),
        other => Err(format!("unknown pdu {other}")),
    }
}
