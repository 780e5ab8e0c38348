//! Data that follows from a seed, so that both ends of a transfer know it without exchanging it.

use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Bytes per generated word.
const WORD: usize = 8;

/// How much `write_file` generates at a time, in bytes.
const CHUNK: usize = 1 << 16;

/// Fills `buffer` with the bytes at `offset` (a multiple of eight) of the data of `seed`.
pub(crate) fn fill(buffer: &mut [u8], seed: u64, offset: u64) {
    for (index, word) in (offset / WORD as u64..).zip(buffer.chunks_mut(WORD)) {
        let bytes = mix(seed, index).to_le_bytes();
        word.copy_from_slice(&bytes[..word.len()]);
    }
}

/// SplitMix64's output function over a counter: the random number of a seed at an index.
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut word = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Writes the first `bytes` of the data of `seed` to a file.
pub(crate) fn write_file(path: &str, bytes: u64, seed: u64) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < bytes {
        let length = usize::try_from(bytes - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
        fill(&mut chunk[..length], seed, offset);
        file.write_all(&chunk[..length])?;
        offset += length as u64;
    }
    file.flush()
}

/// Writes `count` files into a folder: `file-N` holds the first N * 250 bytes of the data of seed N.
pub(crate) fn write_files(folder: &str, count: u64) -> io::Result<()> {
    (1..=count).try_for_each(|number| write_file(&format!("{folder}/file-{number}"), number * 250, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_equals_the_same_part_of_the_whole() {
        let mut whole = [0; 64];
        fill(&mut whole, 7, 0);
        let mut part = [0; 20];
        fill(&mut part, 7, 16);
        assert_eq!(part, whole[16..36]);
        let mut other = [0; 64];
        fill(&mut other, 8, 0);
        assert_ne!(whole, other);
    }
}
