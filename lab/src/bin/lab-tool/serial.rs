//! Data both ways at once between the two ends of a serial line.

use std::fs::File;
use std::io::{self, Read, Write};
use std::thread;

use crate::{pattern, terminal};

/// Bytes per write and at most per read.
const CHUNK: usize = 4096;

/// Sends `bytes` from each port to the other at the same time and compares every byte.
pub(crate) fn exchange(one: &str, other: &str, bytes: u64) -> io::Result<()> {
    let first = terminal::open_raw(one)?;
    let second = terminal::open_raw(other)?;
    thread::scope(|scope| {
        let transfers = [
            scope.spawn(|| send(&first, bytes, 1)),
            scope.spawn(|| send(&second, bytes, 2)),
            scope.spawn(|| receive(&second, bytes, 1)),
            scope.spawn(|| receive(&first, bytes, 2)),
        ];
        let results = transfers.map(|transfer| transfer.join().map_err(|_| io::Error::other("a transfer panicked"))?);
        results.into_iter().collect::<io::Result<()>>()
    })?;
    println!("{bytes} bytes each way, all equal");
    Ok(())
}

fn send(mut port: &File, bytes: u64, seed: u64) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    for offset in (0..bytes).step_by(CHUNK) {
        let length = usize::try_from(bytes - offset).map_or(CHUNK, |rest| rest.min(CHUNK));
        pattern::fill(&mut chunk[..length], seed, offset);
        port.write_all(&chunk[..length])?;
    }
    Ok(())
}

fn receive(mut port: &File, bytes: u64, seed: u64) -> io::Result<()> {
    let mut expected = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    pattern::fill(&mut expected, seed, 0);
    let mut chunk = [0; CHUNK];
    let mut rest = expected.as_slice();
    while !rest.is_empty() {
        let wanted = rest.len().min(CHUNK);
        let length = port.read(&mut chunk[..wanted])?;
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
