//! Whatever a header claims, decoding it takes no more memory than the header itself has, and a little.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use p2pusb_protocol::{
    ControlMessage, LaneMessage, LanePosition, MAX_HEADER_LEN, MAX_LANES, PairingMessage, ProtocolError,
};
use proptest::{collection::vec, prelude::*};

/// The system's allocator, which counts what the current thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator as it came. The counters are thread locals without
// a destructor and with a constant first value, so that counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.get().wrapping_add(layout.size());
        HELD.set(held);
        PEAK.set(PEAK.get().max(held));
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that the thread held at once during the call, beyond those before it.
fn peak_of<T>(call: impl FnOnce() -> T) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    drop(call());
    PEAK.get() - before
}

const KINDS: [u16; 23] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x101, 0x102,
    0x103, 0x201, 0x202, 0x203, 0x204,
];

fn assert_modest(header: &[u8]) {
    for kind in KINDS {
        let decoders: [fn(u16, &[u8]); 3] = [
            |kind, header| drop(ControlMessage::decode(kind, header)),
            |kind, header| drop(PairingMessage::decode(kind, header)),
            |kind, header| drop(LaneMessage::decode(kind, header)),
        ];
        for decode in decoders {
            let peak = peak_of(|| decode(kind, header));
            assert!(peak <= header.len() + 4096, "{peak} bytes for kind {kind:#x}");
        }
    }
}

#[test]
fn the_allocator_counts() {
    assert!(peak_of(|| vec![0_u8; 5000]) >= 5000);
}

/// Valid up to a length, which is enormous.
#[test]
fn lengths_are_not_believed() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let starts: [&[u8]; 9] = [
        &[],                          // the first text of anything
        &[0],                         // the addresses of an accepted ticket
        &[1, 0, 0, 0],                // the software of a hello
        &[1, 0, 0, 0, 0, 0],          // the addresses of a hello
        &[1, 0, 0, 0, 0, 0, 1, 2],    // the URL of a relay
        &[1],                         // the lanes of a session that goes on
        &[0xac, 2],                   // the same, of one with a longer number
        &[1, b'a', 0, 0, 0],          // the manufacturer of a device
        &[1, b'a', 0, 0, 0, 0, 0, 0], // the interfaces of a device
    ];
    for start in starts {
        for filler in [0, 1, 0x7f] {
            // Enough bytes behind it that the length could be meant.
            let filler = vec![filler; usize::from(MAX_HEADER_LEN) - start.len() - huge.len()];
            assert_modest(&[start, &huge, &filler].concat());
            // A length that the rest of the header has room for.
            let plausible = [0xf0, 0x60];
            assert_modest(&[start, &plausible, &filler].concat());
        }
    }
}

/// A header that is full of lanes is refused at the first one beyond the limit.
#[test]
fn a_session_has_no_more_lanes_than_it_may_have() {
    let count = usize::from(MAX_HEADER_LEN) / 2 - 2;
    let announced = [count as u8 | 0x80, (count >> 7) as u8];
    let header = [&[1], announced.as_slice(), &[0x81, 1].repeat(count)].concat();
    assert!(header.len() <= usize::from(MAX_HEADER_LEN));
    for kind in [0x000b, 0x000c] {
        let mut decoded = Ok(None);
        let peak = peak_of(|| decoded = ControlMessage::decode(kind, &header));
        assert!(matches!(decoded, Err(ProtocolError::Malformed { .. })), "{decoded:?}");
        // The list grows by doubling, and for a moment both are there.
        let most = 2 * MAX_LANES * size_of::<LanePosition>();
        assert!(peak <= most, "{peak} bytes for kind {kind:#x}");
    }
}

proptest! {
    #[test]
    fn random_headers(header in vec(prop_oneof![any::<u8>(), 0..4_u8], 0..2000)) {
        assert_modest(&header);
    }
}
