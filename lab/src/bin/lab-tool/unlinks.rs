//! Unlinks at random moments: many bulk URBs are out at a source and sink gadget, and are discarded where they happen to
//! be. What a program can see of it is counted.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::{Duration, Instant};

use crate::pattern;
use crate::usbfs::{Device, Reaped};

/// The addresses of the gadget's bulk endpoints.
pub(crate) struct Endpoints {
    /// IN.
    pub(crate) source: u8,
    /// OUT.
    pub(crate) sink: u8,
}

/// URBs that are out at a time, half of them each way.
const URBS: u64 = 8;
/// Bytes of a packet: data come and go in whole ones, so that the pattern goes on behind a URB that was cut short.
const PACKET: usize = 512;
/// The longest URB, in packets. What is out at a time is more than dummy_hcd moves at a time, so that some URBs are cut
/// in their middle.
const MAX_PACKETS: u64 = 48;
/// How long the last URBs may take.
const END: Duration = Duration::from_secs(20);

/// What a program sees of a URB: whether it was discarded, its status and how much of it was transferred.
type Outcome = (&'static str, &'static str, i32, &'static str);

/// A URB that is out.
struct Out {
    input: bool,
    length: usize,
    discarded: bool,
}

struct Run<'a> {
    device: Device,
    endpoints: &'a Endpoints,
    /// Random numbers follow from a seed and how many have been drawn.
    seed: u64,
    drawn: u64,
    next: u64,
    out: HashMap<u64, Out>,
    outcomes: BTreeMap<Outcome, u64>,
}

/// Discards URBs until `count` discards have met one that was out, each after at most `most_micros` of waiting; prints
/// how often each outcome was seen.
pub(crate) fn run(bus_path: &str, endpoints: &Endpoints, count: u64, most_micros: u64, seed: u64) -> io::Result<()> {
    let device = Device::open(bus_path)?;
    device.take(0)?;
    let (out, outcomes) = (HashMap::new(), BTreeMap::new());
    let mut run = Run { device, endpoints, seed, drawn: 0, next: 0, out, outcomes };
    let mut late = 0;
    let mut met = 0;
    while met < count {
        run.fill()?;
        let pause = run.random(most_micros + 1);
        run.pass(Duration::from_micros(pause))?;
        let Some(number) = run.pick() else { continue };
        match run.device.discard(number) {
            Ok(()) => {
                run.discarded(number);
                met += 1;
            }
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => late += 1,
            Err(error) => return Err(error),
        }
        run.reap_all()?;
    }
    // Whatever is still out moves on by itself: the gadget neither stops to send nor to take.
    while !run.out.is_empty() {
        if !run.device.wait(END)? {
            return Err(io::Error::other(format!("{} URBs never end", run.out.len())));
        }
        run.reap_all()?;
    }
    for ((direction, discarded, status, length), count) in &run.outcomes {
        println!("{direction:<3} {discarded:<9} {status:>4} {length:<4} {count:>7}");
    }
    println!("{} URBs, {met} discarded, {late} discards came too late", run.next);
    Ok(())
}

impl Run<'_> {
    /// A number below `limit`.
    fn random(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        pattern::mix(self.seed, self.drawn) % limit
    }

    /// Submits until as many as there should be are out.
    fn fill(&mut self) -> io::Result<()> {
        while (self.out.len() as u64) < URBS {
            let inputs = self.out.values().filter(|urb| urb.input).count() as u64;
            let input = inputs < URBS / 2;
            let packets = usize::try_from(1 + self.random(MAX_PACKETS)).map_err(io::Error::other)?;
            let length = packets * PACKET;
            let buffer = if input { vec![0xff; length] } else { (0..length).map(expected).collect() };
            let endpoint = if input { self.endpoints.source } else { self.endpoints.sink };
            self.device.submit(self.next, endpoint, buffer)?;
            self.out.insert(self.next, Out { input, length, discarded: false });
            self.next += 1;
        }
        Ok(())
    }

    /// Lets time pass; URBs that end meanwhile are replaced.
    fn pass(&mut self, time: Duration) -> io::Result<()> {
        let start = Instant::now();
        while let Some(rest) = time.checked_sub(start.elapsed()) {
            if !self.device.wait(rest)? {
                break;
            }
            self.reap_all()?;
            self.fill()?;
        }
        Ok(())
    }

    /// Any of those that are out.
    fn pick(&mut self) -> Option<u64> {
        let mut numbers: Vec<u64> = self.out.keys().copied().collect();
        numbers.sort_unstable();
        let index = self.random(numbers.len().max(1) as u64);
        numbers.get(usize::try_from(index).ok()?).copied()
    }

    fn discarded(&mut self, number: u64) {
        if let Some(urb) = self.out.get_mut(&number) {
            urb.discarded = true;
        }
    }

    fn reap_all(&mut self) -> io::Result<()> {
        while let Some(reaped) = self.device.reap()? {
            self.check(&reaped)?;
        }
        Ok(())
    }

    /// Holds a URB against what has to be true of every one.
    fn check(&mut self, reaped: &Reaped) -> io::Result<()> {
        let wrong = |what: &str| io::Error::other(format!("URB {}: {what}", reaped.number));
        let urb = self.out.remove(&reaped.number).ok_or_else(|| wrong("came twice"))?;
        let actual = usize::try_from(reaped.actual_length).map_err(|_| wrong("a negative length"))?;
        if actual > urb.length {
            return Err(wrong("longer than it was submitted"));
        }
        let allowed: &[i32] = if urb.discarded { &[0, -libc::ENOENT, -libc::ECONNRESET] } else { &[0] };
        if !allowed.contains(&reaped.status) {
            return Err(wrong(&format!("status {}", reaped.status)));
        }
        if reaped.status == 0 && actual != urb.length {
            return Err(wrong(&format!("only {actual} of {} bytes, without an error", urb.length)));
        }
        let data = reaped.buffer.iter().take(if urb.input { actual } else { 0 });
        if let Some((index, byte)) = data.enumerate().find(|(index, byte)| **byte != expected(*index)) {
            return Err(wrong(&format!("byte {index} of {actual} is {byte:#04x}")));
        }
        let direction = if urb.input { "in" } else { "out" };
        let discarded = if urb.discarded { "discarded" } else { "left" };
        let length = match actual {
            0 => "none",
            _ if actual < urb.length => "part",
            _ => "full",
        };
        *self.outcomes.entry((direction, discarded, reaped.status, length)).or_default() += 1;
        Ok(())
    }
}

/// The byte at `index` of every URB: pattern 1 of f_sourcesink, which begins anew with each packet.
fn expected(index: usize) -> u8 {
    u8::try_from(index % PACKET % 63).unwrap_or_default()
}
