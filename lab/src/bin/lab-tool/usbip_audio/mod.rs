//! A sound card that exists in this program alone: it is plugged into a vhci port and speaks the device's side of USB/IP
//! with the kernel. Its frames pass by the clock, and it knows of every sample whether it came at its place.

mod control;
mod descriptors;
mod endpoint;
mod frames;
mod wire;

use std::error::Error;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use self::control::{Answer, Control};
use self::descriptors::{PLAY, PLAY_INTERFACE, RECORD, RECORD_INTERFACE};
use self::endpoint::Endpoint;
use self::frames::{Clock, Speed};
use self::wire::{Command, Urb};
use crate::ports;

/// Commands of the kernel that wait.
const COMMANDS: usize = 64;

/// Plugs the device into `port` of the vhci in `folder`, with the product name `Lab NAME` and the serial number `lab-NAME`,
/// and serves it until it is detached. Whenever an endpoint is switched off, what it heard or said is printed.
pub(crate) fn run(folder: &str, port: u32, speed: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let speed = Speed::from_name(speed).ok_or("the speed is full or high")?;
    let (ours, kernels) = UnixStream::pair()?;
    ports::attach(folder.as_ref(), port, speed.number(), &kernels)?;
    drop(kernels);
    let (commands, received) = mpsc::sync_channel(COMMANDS);
    let mut from = ours.try_clone()?;
    let reader = thread::spawn(move || {
        while let Some(command) = wire::read(&mut from)? {
            // The device ends only after this.
            if commands.send(command).is_err() {
                break;
            }
        }
        Ok::<(), std::io::Error>(())
    });
    let mut device = Device {
        control: Control::new(speed, name),
        clock: Clock::new(speed),
        speed,
        loudspeaker: None,
        microphone: None,
        kernel: ours,
    };
    loop {
        let command = match device.due() {
            Some(frame) => received.recv_timeout(device.clock.until(frame)),
            None => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match command {
            Ok(Command::Submit(urb)) => device.submit(urb)?,
            Ok(Command::Unlink { number, victim }) => device.unlink(number, victim)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        device.finish()?;
    }
    reader.join().map_err(|_| "the reader panicked")??;
    Ok(())
}

struct Device {
    control: Control,
    clock: Clock,
    speed: Speed,
    /// The endpoints that are switched on.
    loudspeaker: Option<Endpoint>,
    microphone: Option<Endpoint>,
    kernel: UnixStream,
}

impl Device {
    /// The frame with which the next URB is over.
    fn due(&self) -> Option<u64> {
        [&self.loudspeaker, &self.microphone].into_iter().flatten().filter_map(Endpoint::due).min()
    }

    fn submit(&mut self, urb: Urb) -> std::io::Result<()> {
        let now = self.clock.now();
        let endpoint = match (urb.endpoint, urb.input) {
            (0, _) => return self.control(&urb),
            (PLAY, false) => &mut self.loudspeaker,
            (RECORD, true) => &mut self.microphone,
            _ => &mut None,
        };
        match endpoint {
            Some(endpoint) if !urb.packets.is_empty() => endpoint.submit(urb, now),
            // It is not there, or not switched on.
            _ => self.kernel.write_all(&wire::ret_submit(&urb, -libc::EPIPE, 0, &[]))?,
        }
        Ok(())
    }

    fn control(&mut self, urb: &Urb) -> std::io::Result<()> {
        let reply = match self.control.answer(urb.setup) {
            Answer::Stall => wire::ret_submit(urb, -libc::EPIPE, 0, &[]),
            Answer::Done(data) => wire::ret_submit(urb, 0, data.len() as u32, &data),
            Answer::Configured => {
                self.switch(PLAY_INTERFACE, 0);
                self.switch(RECORD_INTERFACE, 0);
                wire::ret_submit(urb, 0, 0, &[])
            }
            Answer::Alternate { interface, alternate } => {
                self.switch(interface, alternate);
                wire::ret_submit(urb, 0, 0, &[])
            }
        };
        self.kernel.write_all(&reply)
    }

    /// Switches an endpoint off, and on again if the alternate setting has it.
    fn switch(&mut self, interface: u16, alternate: u8) {
        let rate = self.speed.frames_per_second();
        let (endpoint, new) = match interface {
            PLAY_INTERFACE => (&mut self.loudspeaker, Endpoint::loudspeaker(rate)),
            RECORD_INTERFACE => (&mut self.microphone, Endpoint::microphone(rate)),
            _ => return,
        };
        if let Some(old) = endpoint.take_if(|old| old.was_used()) {
            println!("{old}");
        }
        *endpoint = (alternate == 1).then_some(new);
    }

    fn unlink(&mut self, number: u32, victim: u32) -> std::io::Result<()> {
        let now = self.clock.now();
        let endpoints = [&mut self.loudspeaker, &mut self.microphone];
        let cancelled = endpoints.into_iter().flatten().any(|endpoint| endpoint.cancel(victim, now));
        self.kernel.write_all(&wire::ret_unlink(number, cancelled))
    }

    /// Tells the kernel of all URBs that are over.
    fn finish(&mut self) -> std::io::Result<()> {
        let now = self.clock.now();
        for endpoint in [&mut self.loudspeaker, &mut self.microphone].into_iter().flatten() {
            while let Some(over) = endpoint.finish(now) {
                // Frame numbers have eleven bits.
                let start = (over.start % 2048) as u32;
                self.kernel.write_all(&wire::ret_submit_iso(&over.urb, start, &over.read))?;
            }
        }
        Ok(())
    }
}
