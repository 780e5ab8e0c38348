//! Memory for the data of URBs, used again and again.
//!
//! A disk at full speed moves thousands of buffers a second. Taking each from the system and giving it back would have the
//! kernel map and clear the same pages over and over.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
};

use bytes::BytesMut;

/// The smallest buffer, in bytes. Anything smaller costs as much.
const SMALLEST: usize = 128;

/// The largest buffer that is kept, in bytes. A longer URB is rare, and pays for its memory.
const LARGEST: usize = 1 << 20;

/// Sizes of buffers: the powers of two from the smallest to the largest.
const SIZES: usize = (LARGEST / SMALLEST).ilog2() as usize + 1;

/// The most that is kept, in bytes.
const MAX_KEPT: usize = 8 << 20;

/// Buffers that were in use once. Each comes back by itself when the last [`Bytes`](bytes::Bytes) made of it is gone.
pub(crate) struct Buffers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// For each size, empty handles to buffers; the one that was handed out first is in front.
    sizes: [VecDeque<BytesMut>; SIZES],
    /// The sum of the sizes of all buffers.
    bytes: usize,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// An empty buffer with room for at least `len` bytes.
    pub(crate) fn take(&self, len: usize) -> BytesMut {
        let size = len.max(SMALLEST).next_power_of_two();
        if len == 0 || size > LARGEST {
            return BytesMut::with_capacity(len);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { sizes, bytes } = &mut *kept;
        let handles = &mut sizes[(size / SMALLEST).ilog2() as usize];
        // Where nobody else has a part of it any longer, all of it is free again.
        let is_free = handles.front_mut().is_some_and(|oldest| oldest.try_reclaim(size));
        let mut handle = match if is_free { handles.pop_front() } else { None } {
            Some(handle) => handle,
            None if *bytes + size > MAX_KEPT => return BytesMut::with_capacity(len),
            None => {
                *bytes += size;
                BytesMut::with_capacity(size)
            }
        };
        let buffer = handle.split_off(0);
        handles.push_back(handle);
        buffer
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Buffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(buffers: &Buffers) -> (usize, usize) {
        let kept = buffers.0.lock().unwrap();
        (kept.sizes.iter().map(VecDeque::len).sum(), kept.bytes)
    }

    #[test]
    fn a_buffer_comes_back_when_nobody_has_a_part_of_it() {
        let buffers = Buffers::new();
        let mut first = buffers.take(1000);
        first.extend_from_slice(&[1; 1000]);
        let address = first.as_ptr();
        let mut whole = first.freeze();
        let part = whole.split_to(10);
        drop(whole);
        assert_ne!(buffers.take(1000).as_ptr(), address, "a part is in use");
        assert_eq!(part, [1; 10][..]);
        drop(part);
        let again = [buffers.take(1000), buffers.take(1000)];
        assert!(again.iter().any(|buffer| buffer.as_ptr() == address));
        assert!(again.iter().all(|buffer| buffer.is_empty() && buffer.capacity() >= 1000));
        assert_eq!(kept(&buffers), (2, 2048));
    }

    #[test]
    fn no_more_is_kept_than_is_in_use_at_a_time() {
        let buffers = Buffers::new();
        for len in (0..10_000).chain([LARGEST + 1]) {
            assert!(buffers.take(len).capacity() >= len);
        }
        // One of each size.
        assert_eq!(kept(&buffers), (8, 2 * 16384 - SMALLEST));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Buffers::new();
        let held: Vec<_> = (0..100).map(|_| buffers.take(LARGEST)).collect();
        assert!(held.iter().all(|buffer| buffer.capacity() >= LARGEST));
        assert_eq!(kept(&buffers), (MAX_KEPT / LARGEST, MAX_KEPT));
    }
}
