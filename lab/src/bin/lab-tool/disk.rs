//! Sequential disk throughput past the page cache: one request of one block at a time, as `dd` does it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use crate::pattern;

/// `O_DIRECT` wants buffers aligned to the disk's logical block size; a page is enough for every disk.
const ALIGNMENT: usize = 4096;

/// A block with the alignment that `O_DIRECT` asks for.
struct Block {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Block {
    fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        Self { memory, start, length }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

/// Writes `bytes` of the data of `seed` in steps of `block` bytes, reads them back, fails when a byte differs and
/// prints both throughputs as one JSON line.
pub(crate) fn write_and_read(device: &str, bytes: u64, block: usize, seed: u64) -> io::Result<()> {
    let mut file = open(device)?;
    let mut buffer = Block::new(block);
    let mut writing = Duration::ZERO;
    for offset in (0..bytes).step_by(block) {
        pattern::fill(buffer.bytes(), seed, offset);
        let start = Instant::now();
        file.write_all(buffer.bytes())?;
        writing += start.elapsed();
    }
    let start = Instant::now();
    file.sync_all()?;
    writing += start.elapsed();
    drop(file);

    let mut expected = vec![0; block];
    let reading = read(device, bytes, block, |offset, read| {
        pattern::fill(&mut expected, seed, offset);
        if read == expected { Ok(()) } else { Err(io::Error::other(format!("wrong data in the block at {offset}"))) }
    })?;
    println!(
        r#"{{"device":"{device}","block":{block},"bytes":{bytes},"write_mb_s":{:.2},"read_mb_s":{:.2}}}"#,
        rate(bytes, writing),
        rate(bytes, reading)
    );
    Ok(())
}

/// Reads `bytes` in steps of `block` bytes and prints the throughput as one JSON line.
pub(crate) fn read_only(device: &str, bytes: u64, block: usize) -> io::Result<()> {
    let reading = read(device, bytes, block, |_, _| Ok(()))?;
    println!(r#"{{"device":"{device}","block":{block},"bytes":{bytes},"read_mb_s":{:.2}}}"#, rate(bytes, reading));
    Ok(())
}

/// Reads block after block, hands each to `check`, and returns the time that the reads alone took.
fn read(
    device: &str,
    bytes: u64,
    block: usize,
    mut check: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<Duration> {
    let mut file = open(device)?;
    let mut buffer = Block::new(block);
    let mut reading = Duration::ZERO;
    for offset in (0..bytes).step_by(block) {
        let start = Instant::now();
        file.read_exact(buffer.bytes())?;
        reading += start.elapsed();
        check(offset, buffer.bytes())?;
    }
    Ok(reading)
}

fn open(device: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_DIRECT).open(device)
}

/// Megabytes (of a million bytes) per second.
fn rate(bytes: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a throughput with two decimals")]
    let megabytes = bytes as f64 / 1e6;
    megabytes / time.as_secs_f64()
}
