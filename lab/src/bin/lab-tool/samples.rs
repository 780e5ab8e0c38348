//! Sound of which every sample says which one it is: sample N of a stereo stream of 16 bits is N itself, the lower half on
//! the left and the upper half on the right. They count from 1; 0 is silence.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};

/// Bytes of one sample of both channels.
pub(crate) const SAMPLE: usize = 4;

/// What a wav file begins with, and how long its header is as QEMU writes it.
const WAV_MAGIC: &[u8] = b"RIFF";
const WAV_HEADER: usize = 44;

/// How many of the things that were wrong are told in words.
const MAX_TOLD: usize = 8;

/// Puts the samples from `first` on at the end of `data`.
pub(crate) fn append(data: &mut Vec<u8>, first: u32, count: u32) {
    for number in first..first + count {
        data.extend_from_slice(&number.to_le_bytes());
    }
}

/// Writes the samples 1 to `count`, without a header.
pub(crate) fn write_file(path: &str, count: u32) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 1..=count {
        file.write_all(&number.to_le_bytes())?;
    }
    file.flush()
}

/// Says what a raw or wav file contains; an error when a sample is missing, repeated or out of place between its first one
/// and its last one.
pub(crate) fn check_file(path: &str) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let header = if bytes.starts_with(WAV_MAGIC) { WAV_HEADER } else { 0 };
    let mut heard = Heard::default();
    heard.listen(bytes.get(header..).unwrap_or_default());
    println!("{heard}");
    if heard.wrong > 0 { Err(format!("{path} has gaps").into()) } else { Ok(()) }
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    first: u32,
    last: u32,
    /// Silent samples since the last one that was not.
    silent: u64,
    /// How often something else came than the next sample.
    wrong: u64,
    told: Vec<String>,
}

impl Heard {
    /// Hears what comes next: whole samples.
    pub(crate) fn listen(&mut self, bytes: &[u8]) {
        let (samples, rest) = bytes.as_chunks::<SAMPLE>();
        for sample in samples {
            self.hear(u32::from_le_bytes(*sample));
        }
        if !rest.is_empty() {
            self.complain(format!("{} bytes are no whole sample", rest.len()));
        }
    }

    fn hear(&mut self, number: u32) {
        if number == 0 {
            self.silent += 1;
            return;
        }
        if self.first == 0 {
            self.first = number;
        } else if self.silent > 0 || number != self.last.wrapping_add(1) {
            self.complain(format!("after {} and {} silent ones comes {number}", self.last, self.silent));
        }
        (self.last, self.silent) = (number, 0);
    }

    fn complain(&mut self, what: String) {
        self.wrong += 1;
        if self.told.len() < MAX_TOLD {
            self.told.push(what);
        }
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.wrong) {
            (0, 0) => write!(f, "silence"),
            (first, 0) => write!(f, "samples {first} to {}, every one in its place", self.last),
            (first, wrong) => write!(
                f,
                "samples {first} to {}, with {wrong} gaps and repetitions: {}",
                self.last,
                self.told.join("; ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(numbers: &[u32]) -> String {
        let mut heard = Heard::default();
        for number in numbers {
            heard.listen(&number.to_le_bytes());
        }
        heard.to_string()
    }

    #[test]
    fn silence_around_the_samples_is_no_gap() {
        assert_eq!(heard(&[0, 0]), "silence");
        assert_eq!(heard(&[0, 0, 1, 2, 3, 0]), "samples 1 to 3, every one in its place");
        let mut data = Vec::new();
        append(&mut data, 0xffff, 3);
        assert_eq!(data, [0xff, 0xff, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn what_is_missing_repeated_or_out_of_place_is_told() {
        for wrong in [&[5, 7][..], &[5, 5], &[5, 0, 6], &[5, 4]] {
            assert!(heard(wrong).contains("1 gaps"), "{wrong:?}: {}", heard(wrong));
        }
        let mut heard = Heard::default();
        heard.listen(&[1, 0, 0, 0, 2]);
        assert_eq!(heard.wrong, 1);
    }
}
