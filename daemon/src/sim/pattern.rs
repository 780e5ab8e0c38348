//! Data that can be told from any other, at no cost.

use std::sync::OnceLock;

use bytes::Bytes;

/// After so many bytes the pattern begins anew: a prime number, so that no two neighbouring transfers are equal.
const PERIOD: usize = 65_521;
/// How far apart two neighbouring transfers begin.
const STEP: u64 = 61;
/// The longest transfer that there is a pattern for.
const LONGEST: usize = 1 << 20;

/// The data of transfer `number`, `length` bytes of it, at most 1 MiB: a part of memory that is there already.
///
/// # Panics
///
/// When more is asked for.
pub fn pattern(number: u64, length: usize) -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let period: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(PERIOD)
        .collect();
        period.iter().copied().cycle().take(PERIOD + LONGEST).collect::<Vec<u8>>().into()
    });
    let begin = (number % PERIOD as u64 * STEP % PERIOD as u64) as usize;
    bytes.slice(begin..begin + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_and_the_longest_is_there() {
        assert_ne!(pattern(7, 16), pattern(8, 16));
        assert_eq!(pattern(7, 16), pattern(7, LONGEST)[..16]);
        assert_eq!(pattern(u64::MAX, LONGEST).len(), LONGEST);
    }
}
