//! The short code that two people compare before their machines are paired without a ticket.
//!
//! Each side of the connection knows the other's key, but not whose key it is: somebody in between could show its own to
//! both. The code depends on both keys, so such a one would have to make two codes alike. It can't look for numbers that
//! do it: the proposer commits itself to its number before it sees the other's, and the other one tells its own before
//! it sees the proposer's. What is left is one guess in [`CODES`] for each time that two people compare. (The method is
//! that of Bluetooth's numeric comparison: Core Specification 5.4, Vol 3, Part H, 2.3.5.6.2.)

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Length of a random number, in bytes.
pub const NONCE_LEN: usize = 32;
/// Length of a commitment, in bytes.
pub const COMMITMENT_LEN: usize = 32;
/// How many codes there are: those of six decimal digits.
pub const CODES: u64 = 1_000_000;

/// What the two hashes are made for, so that neither can stand for the other.
const COMMITMENT_CONTEXT: &[u8] = b"p2pusb/1 pairing commitment\0";
const CODE_CONTEXT: &[u8] = b"p2pusb/1 pairing code\0";

/// A random number of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce(pub [u8; NONCE_LEN]);

/// What binds the proposer to a number that it does not tell yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment(pub [u8; COMMITMENT_LEN]);

impl Nonce {
    /// What is told of it first.
    pub fn commitment(&self) -> Commitment {
        Commitment(Sha256::new().chain_update(COMMITMENT_CONTEXT).chain_update(self.0).finalize().into())
    }
}

/// What people compare: six decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(u32);

impl Code {
    /// The code of two machines, known by their public keys, and their numbers.
    pub fn new(proposer: (&[u8; 32], &Nonce), answerer: (&[u8; 32], &Nonce)) -> Self {
        let hash = Sha256::new()
            .chain_update(CODE_CONTEXT)
            .chain_update(proposer.0)
            .chain_update(answerer.0)
            .chain_update(proposer.1.0)
            .chain_update(answerer.1.0)
            .finalize();
        let mut start = [0; 8];
        start.copy_from_slice(&hash[..8]);
        Self((u64::from_be_bytes(start) % CODES) as u32)
    }
}

impl fmt::Display for Code {
    /// Writes the six digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPOSER: [u8; 32] = [1; 32];
    const ANSWERER: [u8; 32] = [2; 32];

    /// What other implementations have to come to as well; computed with Python's hashlib.
    #[test]
    fn commitment_and_code_are_what_they_were() {
        let commitment: String =
            Nonce([3; NONCE_LEN]).commitment().0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(commitment, "af00eb05968681e87cf2aadf2050d76b5bb4e01ba6e578bf8e083e83f9305bc2");
        let code = Code::new((&PROPOSER, &Nonce([3; 32])), (&ANSWERER, &Nonce([4; 32])));
        assert_eq!(code.to_string(), "211884");
    }

    #[test]
    fn a_code_has_six_digits_and_depends_on_everything() {
        let code = |a: u8, b: u8, c: u8, d: u8| Code::new((&[a; 32], &Nonce([c; 32])), (&[b; 32], &Nonce([d; 32])));
        let all = [
            code(1, 2, 3, 4),
            code(2, 1, 3, 4),
            code(5, 2, 3, 4),
            code(1, 5, 3, 4),
            code(1, 2, 5, 4),
            code(1, 2, 3, 5),
        ];
        for (at, code) in all.iter().enumerate() {
            assert_eq!(code.to_string().len(), 6);
            assert!(all[at + 1..].iter().all(|other| other != code), "{all:?}");
        }
        assert_eq!(Code(7).to_string(), "000007");
    }
}
