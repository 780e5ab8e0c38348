//! Keys typed on a keyboard gadget and read from the input device that a kernel made of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

/// HID usage of the key A; B to Z follow.
const USAGE_A: u8 = 0x04;

/// Linux key codes of A to Z.
const KEY_CODES: [u16; 26] =
    [30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44];

/// `EV_KEY` and `EV_SYN` of linux/input-event-codes.h.
const EV_KEY: u16 = 1;
const EV_SYN: u16 = 0;
/// The kernel's word that the reader was too slow and events are missing.
const SYN_DROPPED: u16 = 3;

/// `struct input_event` with 64-bit time: two longs, type, code, value.
const EVENT: usize = 24;

/// Which letter is typed as the `index`th key: neighbours always differ, and a loss of whole alphabets shows as well.
fn letter(index: usize) -> usize {
    (index * 7 + index / KEY_CODES.len() * 5) % KEY_CODES.len()
}

/// Writes a press and a release report for each key; the gadget takes a report once the host has polled the last.
pub(crate) fn write(device: &str, count: usize) -> io::Result<()> {
    let mut keyboard = OpenOptions::new().write(true).open(device)?;
    for index in 0..count {
        let mut report = [0; 8];
        report[2] = USAGE_A + u8::try_from(letter(index)).map_err(io::Error::other)?;
        keyboard.write_all(&report)?;
        keyboard.write_all(&[0; 8])?;
    }
    println!("typed {count} keys");
    Ok(())
}

/// Reads a press and a release of each of `count` keys.
pub(crate) fn read(device: &str, count: usize) -> io::Result<()> {
    let mut input = File::open(device)?;
    println!("reading");
    for index in 0..count {
        let code = KEY_CODES[letter(index)];
        for value in [1, 0] {
            let got = next_key(&mut input)?;
            if got != (code, value) {
                return Err(io::Error::other(format!("key {index}: expected {:?}, got {got:?}", (code, value))));
            }
        }
    }
    println!("read {count} keys, none lost, all in order");
    Ok(())
}

/// The next key event as code and value (1 pressed, 0 released); the kernel's own repetitions are passed over.
fn next_key(input: &mut File) -> io::Result<(u16, i32)> {
    const REPEATED: i32 = 2;
    loop {
        let mut event = [0; EVENT];
        input.read_exact(&mut event)?;
        let kind = u16::from_ne_bytes([event[16], event[17]]);
        let code = u16::from_ne_bytes([event[18], event[19]]);
        let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
        match (kind, code) {
            (EV_SYN, SYN_DROPPED) => return Err(io::Error::other("this reader was too slow: events were dropped")),
            (EV_KEY, _) if value != REPEATED => return Ok((code, value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_and_alphabets_do_too() {
        for index in 0..2000 {
            assert_ne!(letter(index), letter(index + 1), "{index}");
        }
        let alphabet = |start: usize| (start..start + 26).map(letter).collect::<Vec<_>>();
        assert_ne!(alphabet(0), alphabet(26));
    }
}
