//! Data both ways at once over something that carries bytes, each of them compared.

use std::io::{self, Read, Write};

use crate::pattern;

/// Bytes per write and at most per read.
const CHUNK: usize = 4096;

/// Sends the first `bytes` of the data of `seed`.
pub(crate) fn send(mut to: impl Write, bytes: u64, seed: u64) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    for offset in (0..bytes).step_by(CHUNK) {
        let length = usize::try_from(bytes - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
        pattern::fill(&mut chunk[..length], seed, offset);
        to.write_all(&chunk[..length])?;
    }
    Ok(())
}

/// Receives them; fails at the first one that is wrong.
pub(crate) fn receive(mut from: impl Read, bytes: u64, seed: u64) -> io::Result<()> {
    let mut expected = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    pattern::fill(&mut expected, seed, 0);
    let mut chunk = [0; CHUNK];
    let mut rest = expected.as_slice();
    while !rest.is_empty() {
        let wanted = rest.len().min(CHUNK);
        let length = from.read(&mut chunk[..wanted])?;
        if length == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} bytes are missing", rest.len())));
        }
        let (now, later) = rest.split_at(length);
        if chunk[..length] != *now {
            return Err(io::Error::other(format!("wrong data near byte {}", expected.len() - rest.len())));
        }
        rest = later;
    }
    Ok(())
}
