//! Data both ways at once between the two ends of a serial line.

use std::io;
use std::thread;

use crate::terminal;
use crate::transfer::{receive, send};

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
