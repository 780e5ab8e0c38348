//! A port of a simulated kernel: its URBs, and the thread that moves them.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    io::{IoSlice, Read as _, Write as _},
    mem,
    os::{fd::AsFd as _, unix::net::UnixStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use super::{
    driver::{Driver, Urb},
    wire::{self, Answer, HEADER_LEN, Message, SubmitWords},
};

/// How much of the socket is read at once, unless an answer is longer.
const READ_BUFFER: usize = 256 * 1024;
/// Messages that are written at once.
const WRITE_BATCH: usize = 16;

const CANCELLED: i32 = -nix::libc::ECONNRESET;
/// The status of what is pending when a port ends (vhci_hcd.c: vhci_shutdown_connection and usb_hcd_flush_endpoint).
const SHUT_DOWN: i32 = -nix::libc::ESHUTDOWN;

/// A URB that has ended.
#[derive(Clone, Copy)]
pub struct Done<'a> {
    /// What [`SimPort::submit`] called it.
    pub seqnum: u32,
    /// The endpoint's address.
    pub endpoint: u8,
    /// What the driver had put into [`Urb::context`].
    pub context: u64,
    /// 0 or a negative errno.
    pub status: i32,
    /// How many bytes went.
    pub actual_length: u32,
    /// What came.
    pub data: &'a [u8],
    /// The driver itself, to submit the next one for.
    pub driver: &'a Arc<dyn Driver>,
}

impl fmt::Debug for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seqnum, endpoint, status, actual_length, .. } = self;
        write!(f, "URB {seqnum} of endpoint {endpoint:#04x}: status {status}, {actual_length} bytes")
    }
}

struct Pending {
    endpoint: u8,
    input: bool,
    length: u32,
    context: u64,
    unlinked: bool,
    driver: Arc<dyn Driver>,
}

#[derive(Default)]
struct State {
    last_seqnum: u32,
    pending: HashMap<u32, Pending>,
    /// Unlink commands that are not answered yet, and what they are about.
    unlinks: HashMap<u32, u32>,
    out: VecDeque<Message>,
    /// The thread waits, and has to be told.
    asleep: bool,
    /// Nothing is read from the socket.
    deaf: bool,
    /// Nothing is submitted any longer.
    closing: bool,
    stop: bool,
    ended: bool,
    complaints: Vec<String>,
}

struct Shared {
    device_id: u32,
    wake: EventFd,
    state: Mutex<State>,
    /// Told when a URB or the port has ended.
    settled: Condvar,
}

/// A port that a device is attached to. Clones are the same one.
#[derive(Clone)]
pub struct SimPort(Arc<Shared>);

impl fmt::Debug for SimPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPort").field("device_id", &self.0.device_id).finish_non_exhaustive()
    }
}

impl SimPort {
    pub(super) fn new(device_id: u32) -> io::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let shared = Shared { device_id, wake, state: Mutex::default(), settled: Condvar::new() };
        Ok(Self(Arc::new(shared)))
    }

    /// Submits a URB; `driver` hears of its end. The number names it for [`unlink`](Self::unlink); `None` where the
    /// device is gone, and then nobody hears of anything.
    pub fn submit(&self, urb: Urb, driver: &Arc<dyn Driver>) -> Option<u32> {
        let input = urb.is_input();
        let Urb { endpoint, setup, flags, length, data, context } = urb;
        let mut state = self.state();
        if state.closing {
            return None;
        }
        let seqnum = state.next_seqnum();
        let pending = Pending { endpoint, input, length, context, unlinked: false, driver: driver.clone() };
        state.pending.insert(seqnum, pending);
        let words = SubmitWords { seqnum, device_id: self.0.device_id, endpoint, input, flags, length, setup };
        state.out.push_back(wire::cmd_submit(words, data));
        self.tell(state);
        Some(seqnum)
    }

    /// Has a URB cancelled, without waiting for it. `false` where it has ended, or was unlinked before.
    pub fn unlink(&self, seqnum: u32) -> bool {
        let mut state = self.state();
        match state.pending.get_mut(&seqnum) {
            Some(urb) if !urb.unlinked => urb.unlinked = true,
            _ => return false,
        }
        let command = state.next_seqnum();
        state.unlinks.insert(command, seqnum);
        state.out.push_back(wire::cmd_unlink(command, self.0.device_id, seqnum));
        self.tell(state);
        true
    }

    /// Whether the port leaves unread what the daemon says, as a kernel does that is busy with something else.
    pub fn set_deaf(&self, deaf: bool) {
        let mut state = self.state();
        state.deaf = deaf;
        self.tell(state);
    }

    /// The URBs that are pending on an endpoint, the oldest first.
    pub fn pending_on(&self, endpoint: u8) -> Vec<u32> {
        let state = self.state();
        let mut seqnums: Vec<u32> =
            state.pending.iter().filter(|(_, urb)| urb.endpoint == endpoint).map(|(seqnum, _)| *seqnum).collect();
        seqnums.sort_unstable();
        seqnums
    }

    /// How many URBs are pending.
    pub fn pending(&self) -> usize {
        self.state().pending.len()
    }

    /// Waits until nothing is pending, not even the answer to an unlink. `false` where the port has ended.
    pub fn settled(&self) -> bool {
        let busy = |state: &mut State| !(state.ended || state.pending.is_empty() && state.unlinks.is_empty());
        let state = self.0.settled.wait_while(self.state(), busy).unwrap_or_else(PoisonError::into_inner);
        !state.ended
    }

    /// Whether the device is gone.
    pub fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// What the kernel would have written into its log.
    pub fn complaints(&self) -> Vec<String> {
        self.state().complaints.clone()
    }

    /// Writes something into the log, and ends the port.
    pub(super) fn complain(&self, what: String) {
        let mut state = self.state();
        state.complaints.push(what);
        state.stop = true;
        self.tell(state);
    }

    /// Takes no more URBs and cancels all that are pending.
    pub(super) fn let_go(&self) {
        let seqnums: Vec<u32> = {
            let mut state = self.state();
            state.closing = true;
            state.pending.keys().copied().collect()
        };
        for seqnum in seqnums {
            self.unlink(seqnum);
        }
        self.settled();
    }

    /// Ends the port.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stop = true;
        self.tell(state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: MutexGuard<'_, State>) {
        let asleep = state.asleep;
        drop(state);
        if asleep {
            // It fails only when the thread has been told some 2^64 times without having heard of it.
            let _ = self.0.wake.write(1);
        }
    }

    /// Moves URBs until the port ends: because the daemon closed the socket, because somebody ended it, or because the
    /// daemon said something that vhci does not take.
    pub(super) fn run(&self, socket: &UnixStream) {
        let mut writer = Writer::default();
        let mut reader = Reader::new();
        let result = loop {
            match self.step(socket, &mut writer, &mut reader) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(complaint) => break Err(complaint),
            }
        };
        let left = {
            let mut state = self.state();
            state.closing = true;
            state.complaints.extend(result.err());
            state.unlinks.clear();
            state.out.clear();
            let mut left: Vec<_> = state.pending.drain().collect();
            left.sort_unstable_by_key(|(seqnum, _)| *seqnum);
            left
        };
        for (seqnum, urb) in left {
            self.give_back(seqnum, &urb, SHUT_DOWN, 0, &[]);
        }
        self.state().ended = true;
        self.0.settled.notify_all();
    }

    /// Writes what there is to write, reads what there is to read, and waits where neither is. `false` at the end.
    fn step(&self, socket: &UnixStream, writer: &mut Writer, reader: &mut Reader) -> Result<bool, String> {
        let (deaf, stop) = {
            let mut state = self.state();
            mem::swap(&mut state.out, &mut writer.next);
            (state.deaf, state.stop)
        };
        if stop {
            return Ok(false);
        }
        writer.queue.append(&mut writer.next);
        writer.write(socket).map_err(|error| format!("the socket can't be written to: {error}"))?;
        if !deaf {
            match reader.read(socket) {
                Ok(0) => return Ok(false),
                Ok(_) => {
                    while let Some(answer) = reader.answer(self)? {
                        self.take(answer, reader)?;
                    }
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(format!("the socket can't be read from: {error}")),
            }
        }
        {
            let mut state = self.state();
            if !state.out.is_empty() || state.stop || state.deaf != deaf {
                return Ok(true);
            }
            state.asleep = true;
        }
        let read = if deaf { PollFlags::empty() } else { PollFlags::POLLIN };
        let write = if writer.queue.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let mut fds = [PollFd::new(socket.as_fd(), read | write), PollFd::new(self.0.wake.as_fd(), PollFlags::POLLIN)];
        let polled = poll(&mut fds, PollTimeout::NONE);
        let hung_up = fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP));
        let told = fds[1].revents().is_some_and(|events| !events.is_empty());
        self.state().asleep = false;
        if told {
            // It may have been read already.
            let _ = self.0.wake.read();
        }
        match polled {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(!(deaf && hung_up)),
            Err(error) => Err(format!("poll: {error}")),
        }
    }

    /// Takes an answer that is complete.
    fn take(&self, answer: Whole, reader: &Reader) -> Result<(), String> {
        match answer.answer {
            Answer::Submit { seqnum, status, actual_length, .. } => {
                let urb = self.state().pending.remove(&seqnum);
                let urb = urb.ok_or_else(|| unknown(seqnum))?;
                self.give_back(seqnum, &urb, status, actual_length, &reader.buffer[answer.data]);
            }
            Answer::Unlink { seqnum, status } => {
                let (unlink, urb) = {
                    let mut state = self.state();
                    let unlink = state.unlinks.remove(&seqnum);
                    let unlink = unlink.ok_or_else(|| format!("answer to an unlink {seqnum} that nobody sent"))?;
                    let urb = if status == CANCELLED { state.pending.remove(&unlink) } else { None };
                    if status == 0 && state.pending.contains_key(&unlink) {
                        return Err(format!("unlink of {unlink} came too late, says the answer, but it is pending"));
                    }
                    (unlink, urb)
                };
                match (status, urb) {
                    (CANCELLED, Some(urb)) => self.give_back(unlink, &urb, status, 0, &[]),
                    (CANCELLED, None) => return Err(format!("{unlink} was cancelled after it had been completed")),
                    (0, _) => {}
                    (other, _) => return Err(format!("unlink of {unlink} was answered with {other}")),
                }
            }
        }
        self.0.settled.notify_all();
        Ok(())
    }

    fn give_back(&self, seqnum: u32, urb: &Pending, status: i32, actual_length: u32, data: &[u8]) {
        let Pending { endpoint, context, driver, .. } = urb;
        let done = Done { seqnum, endpoint: *endpoint, context: *context, status, actual_length, data, driver };
        driver.complete(self, done);
    }
}

impl State {
    fn next_seqnum(&mut self) -> u32 {
        self.last_seqnum = self.last_seqnum.wrapping_add(1);
        self.last_seqnum
    }
}

fn unknown(seqnum: u32) -> String {
    format!("cannot find a urb of seqnum {seqnum}")
}

#[derive(Default)]
struct Writer {
    queue: VecDeque<Message>,
    next: VecDeque<Message>,
    /// How much of the first message is written.
    written: usize,
}

impl Writer {
    /// Writes until all is written or the socket is full.
    fn write(&mut self, mut socket: &UnixStream) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2 * WRITE_BATCH];
            let mut skip = self.written;
            for (message, pair) in self.queue.iter().zip(slices.chunks_exact_mut(2)) {
                let header = skip.min(HEADER_LEN);
                pair[0] = IoSlice::new(&message.header[header..]);
                pair[1] = IoSlice::new(&message.data[skip - header..]);
                skip = 0;
            }
            match socket.write_vectored(&slices) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The daemon has closed it: that is seen when it is read.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(error),
            }
            while let Some(length) = self.queue.front().map(|message| HEADER_LEN + message.data.len())
                && self.written >= length
            {
                self.written -= length;
                self.queue.pop_front();
            }
        }
        Ok(())
    }
}

/// An answer with all its data, which is in the reader's buffer.
struct Whole {
    answer: Answer,
    data: std::ops::Range<usize>,
}

struct Reader {
    buffer: Vec<u8>,
    /// What has been read and not been taken yet.
    begin: usize,
    end: usize,
}

impl Reader {
    fn new() -> Self {
        Self { buffer: vec![0; READ_BUFFER], begin: 0, end: 0 }
    }

    fn read(&mut self, mut socket: &UnixStream) -> io::Result<usize> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        let count = socket.read(&mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// The next answer, once all of it is there. An error is what vhci does not take.
    fn answer(&mut self, port: &SimPort) -> Result<Option<Whole>, String> {
        let Some(header) = self.buffer[self.begin..self.end].first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let answer = wire::answer(header)?;
        let length = match answer {
            Answer::Unlink { .. } => 0,
            Answer::Submit { seqnum, actual_length, packets, .. } => {
                let state = port.state();
                let urb = state.pending.get(&seqnum).ok_or_else(|| unknown(seqnum))?;
                if actual_length > urb.length {
                    return Err(format!("{actual_length} bytes for URB {seqnum}, which has room for {}", urb.length));
                }
                if packets != 0 {
                    return Err(format!("{packets} packets for URB {seqnum}, which has none"));
                }
                if urb.input { actual_length as usize } else { 0 }
            }
        };
        let begin = self.begin + HEADER_LEN;
        let end = begin + length;
        if end > self.end {
            let needed = HEADER_LEN + length;
            if needed > self.buffer.len() {
                self.buffer.resize(needed, 0);
            }
            return Ok(None);
        }
        self.begin = end;
        Ok(Some(Whole { answer, data: begin..end }))
    }
}
