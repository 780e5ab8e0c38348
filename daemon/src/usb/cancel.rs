//! The thread that cancels transfers.
//!
//! The kernel makes whoever cancels a transfer wait until the host controller has let go of it: a millisecond or two
//! where all is well. Neither the caller, which has other URBs to move, nor the event thread can afford that.

use std::{
    fmt, io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use super::transfer::{Key, Shared};

/// A cancellation that was asked for. There is at most one for each transfer in flight, which bounds the queue.
struct Job {
    shared: Arc<Shared>,
    key: Key,
    serial: u64,
}

/// The thread `usb-cancel`, for all devices. It ends when this is dropped.
pub(super) struct Canceller {
    /// `None` once the thread is to end.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Canceller {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let run = move || {
            for Job { shared, key, serial } in queue {
                shared.cancel_now(key, serial);
            }
        };
        let thread = thread::Builder::new().name("usb-cancel".into()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has that transfer cancelled. Returns at once.
    pub(super) fn cancel(&self, shared: Arc<Shared>, key: Key, serial: u64) {
        if let Some(jobs) = &self.jobs {
            // The thread listens as long as there is a sender.
            let _ = jobs.send(Job { shared, key, serial });
        }
    }
}

impl Drop for Canceller {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Canceller").finish_non_exhaustive()
    }
}
