//! How long control requests take on an idle device, and on one whose bulk endpoint is as busy as it can be.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::usbfs::Device;

/// Bulk URBs that are queued at a time, and their length in bytes: more than a round trip's worth.
const DEPTH: u64 = 16;
const LENGTH: usize = 64 * 1024;

/// How long to wait for one of them before looking whether it is over.
const PATIENCE: Duration = Duration::from_millis(100);

/// URBs that have to be through before the busy time is measured: all buffers on the way are full then.
const WARM_UP: u64 = 8 * DEPTH;

/// Measures COUNT requests each way, and prints one line of JSON. `source` is a bulk IN endpoint of interface 0 that has data
/// without end.
pub(crate) fn run(bus_path: &str, source: u8, count: usize) -> io::Result<()> {
    let device = Device::open(bus_path)?;
    let idle = requests(&device, count)?;
    let (over, urbs) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let busy = thread::scope(|scope| -> io::Result<_> {
        let load = scope.spawn(|| saturate(bus_path, source, &over, &urbs));
        while urbs.load(Ordering::Relaxed) < WARM_UP && !load.is_finished() {
            requests(&device, 1)?;
        }
        let busy = requests(&device, count);
        over.store(true, Ordering::Relaxed);
        load.join().map_err(|_| io::Error::other("the thread that keeps the device busy has panicked"))??;
        busy
    })?;
    let bytes = urbs.load(Ordering::Relaxed) as f64 * LENGTH as f64;
    println!(
        "{{\"idle_p50_ms\":{:.3},\"idle_p99_ms\":{:.3},\"busy_p50_ms\":{:.3},\"busy_p99_ms\":{:.3},\"bulk_mb_s\":{:.1}}}",
        percentile(&idle, 50),
        percentile(&idle, 99),
        percentile(&busy, 50),
        percentile(&busy, 99),
        bytes / 1e6 / started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// How long each of so many requests took, the shortest first.
fn requests(device: &Device, count: usize) -> io::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        device.status()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// Reads until it is over, and counts the URBs.
fn saturate(bus_path: &str, source: u8, over: &AtomicBool, urbs: &AtomicU64) -> io::Result<()> {
    let mut device = Device::open(bus_path)?;
    device.take(0)?;
    for number in 0..DEPTH {
        device.submit(number, source, vec![0; LENGTH])?;
    }
    while !over.load(Ordering::Relaxed) {
        if !device.wait(PATIENCE)? {
            continue;
        }
        while let Some(urb) = device.reap()? {
            if urb.status != 0 || urb.actual_length as usize != LENGTH {
                let what = format!("URB {}: status {}, {} bytes", urb.number, urb.status, urb.actual_length);
                return Err(io::Error::other(what));
            }
            urbs.fetch_add(1, Ordering::Relaxed);
            device.submit(urb.number, source, urb.buffer)?;
        }
    }
    Ok(())
}
