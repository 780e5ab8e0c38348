//! Two daemons, between a simulated kernel and a simulated device.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use p2pusbd::sim::{Done, Driver, Model, SimDaemon, SimPort, Urb, pattern, report_age};

use crate::{
    Result, allocations,
    child::{questions, say},
    measure::{DEPTH, Outcome, REPORT_INTERVAL, REPORT_LEN, SMALL, What},
    usage::Usage,
};

const PRODUCT: &str = "bench";
const SOURCE: u8 = 0x81;
const SINK: u8 = 0x01;
const LOOP_OUT: u8 = 0x02;
const LOOP_IN: u8 = 0x82;
const REPORTS: u8 = 0x85;

/// The parent's questions are answered on the main thread; the daemon has its own.
fn block_on(side: impl Future<Output = Result>) -> Result {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(side)
}

pub(crate) fn exporter(folder: &str, how: &str) -> Result {
    block_on(async {
        let daemon = SimDaemon::start(Path::new(folder), allocations::count_here).await?;
        let model = Model::everything(PRODUCT, REPORT_INTERVAL);
        let device = daemon.lend("1-1", if how == "inline" { model.inline() } else { model }).await?;
        say(&daemon.invite().await?);
        let mut questions = questions();
        while questions.recv().await.is_some() {
            say(&Usage::now().to_string());
        }
        if device.counts(SINK).wrong > 0 {
            return Err("the device has been sent wrong data".into());
        }
        daemon.stop().await;
        Ok(())
    })
}

pub(crate) fn importer(folder: &str) -> Result {
    block_on(async {
        let daemon = SimDaemon::start(Path::new(folder), allocations::count_here).await?;
        let mut questions = questions();
        let peer = daemon.accept(questions.recv().await.ok_or("no ticket")?).await?;
        let attached = daemon.attach(peer, PRODUCT).await?;
        say("ready");
        let driver = Bench::new();
        while let Some(question) = questions.recv().await {
            if question == "usage" {
                say(&Usage::now().to_string());
                continue;
            }
            let (driver, port, what) = (driver.clone(), attached.port.clone(), question.parse()?);
            // Where it stops nobody: the simulated kernel has threads of its own.
            let outcome = tokio::task::spawn_blocking(move || driver.measure(&port, what)).await??;
            say(&outcome.to_string());
        }
        if let Some(complaint) = daemon.kernel.complaints().first() {
            return Err(format!("the kernel complains: {complaint}").into());
        }
        daemon.engine.detach(attached.number).await?;
        daemon.stop().await;
        Ok(())
    })
}

/// A driver that does one measurement after the other. Each URB is submitted from the completion of an earlier one, as
/// drivers do.
struct Bench {
    now: Mutex<Option<Run>>,
    /// Numbers of the patterns, which go on from one measurement to the next.
    next: Mutex<Next>,
    wrong: AtomicBool,
}

#[derive(Default)]
struct Next {
    source: u64,
    sink: u64,
    run: u64,
}

struct Run {
    /// What its URBs have as context: an earlier measurement may have left some behind.
    id: u64,
    what: What,
    count: u64,
    submitted: u64,
    completed: u64,
    sent: Instant,
    latencies: Vec<Duration>,
    over: SyncSender<()>,
}

impl Bench {
    fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(None), next: Mutex::default(), wrong: AtomicBool::new(false) })
    }

    fn measure(self: Arc<Self>, port: &SimPort, what: What) -> Result<Outcome> {
        let (over, is_over) = sync_channel(1);
        let count = match what {
            What::In { count, .. } | What::Out { count, .. } | What::Asked { count, .. } => count,
            What::Urb { count } | What::Echo { count } | What::OutThenIn { count } | What::Reports { count } => count,
        };
        let latencies = match what {
            What::In { .. } | What::Out { .. } | What::Asked { .. } => Vec::new(),
            _ => Vec::with_capacity(count as usize),
        };
        let id = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.run += 1;
            next.run
        };
        let begin = Instant::now();
        let mut run = Run { id, what, count, submitted: 0, completed: 0, sent: begin, latencies, over };
        let driver: Arc<dyn Driver> = self.clone();
        {
            let mut now = self.now();
            let ahead = match what {
                What::In { .. } | What::Out { .. } | What::Asked { .. } => DEPTH.min(count),
                What::Reports { .. } => 2,
                _ => 1,
            };
            for _ in 0..ahead {
                self.submit(&mut run, port, &driver)?;
            }
            *now = Some(run);
        }
        is_over.recv().map_err(|_| "the port has ended")?;
        let elapsed = begin.elapsed();
        if self.wrong.load(Ordering::Relaxed) {
            return Err("a URB failed, or brought wrong data".into());
        }
        let run = self.now().take().ok_or("a measurement got lost")?;
        Ok(if run.latencies.is_empty() { Outcome::after(elapsed) } else { Outcome::of(run.latencies, elapsed) })
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Option<Run>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits the next URB of a measurement, or the first two of an echo.
    fn submit(&self, run: &mut Run, port: &SimPort, driver: &Arc<dyn Driver>) -> Result {
        let urb = match run.what {
            What::In { size, .. } | What::Asked { size, .. } => Urb::input(SOURCE, size as u32),
            What::Out { size, .. } => Urb::output(SINK, self.next_out(size)),
            What::Urb { .. } => Urb::output(SINK, self.next_out(SMALL)),
            What::Echo { .. } => {
                if port.submit(Urb::input(LOOP_IN, SMALL as u32).with_context(run.id), driver).is_none() {
                    return Err("the device is gone".into());
                }
                run.sent = Instant::now();
                Urb::output(LOOP_OUT, pattern(run.submitted, SMALL))
            }
            What::OutThenIn { .. } => Urb::output(LOOP_OUT, pattern(run.submitted, SMALL)),
            What::Reports { .. } => Urb::input(REPORTS, REPORT_LEN as u32),
        };
        run.submitted += 1;
        if !matches!(run.what, What::Echo { .. }) {
            run.sent = Instant::now();
        }
        port.submit(urb.with_context(run.id), driver).map(drop).ok_or_else(|| "the device is gone".into())
    }

    fn next_out(&self, size: usize) -> Bytes {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.sink += 1;
        pattern(next.sink - 1, size)
    }

    /// Takes a completion; whether the measurement goes on with another URB.
    fn take(&self, run: &mut Run, port: &SimPort, done: Done<'_>) -> Result {
        if done.status != 0 {
            return Err(format!("status {}", done.status).into());
        }
        let finished = match (run.what, done.endpoint) {
            (What::In { size, .. } | What::Asked { size, .. }, _) => {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                next.source += 1;
                if *done.data != *pattern(next.source - 1, size) {
                    return Err("wrong data".into());
                }
                true
            }
            (What::Out { .. }, _) => true,
            (What::Urb { .. }, _) => {
                run.latencies.push(run.sent.elapsed());
                true
            }
            (What::Echo { .. } | What::OutThenIn { .. }, LOOP_IN) => {
                run.latencies.push(run.sent.elapsed());
                if *done.data != *pattern(run.completed, SMALL) {
                    return Err("wrong data".into());
                }
                true
            }
            (What::OutThenIn { .. }, _) => {
                let urb = Urb::input(LOOP_IN, SMALL as u32).with_context(run.id);
                port.submit(urb, done.driver).ok_or("the device is gone")?;
                false
            }
            // The completion of the OUT is not waited for.
            (What::Echo { .. }, _) => false,
            (What::Reports { .. }, _) => {
                let (_, age) = report_age(done.data).ok_or("not a report")?;
                run.latencies.push(age);
                true
            }
        };
        if finished {
            run.completed += 1;
            if run.submitted < run.count {
                self.submit(run, port, done.driver)?;
            }
        }
        Ok(())
    }
}

impl Driver for Bench {
    fn complete(&self, port: &SimPort, done: Done<'_>) {
        let mut now = self.now();
        let Some(run) = now.as_mut().filter(|run| run.id == done.context) else { return };
        let taken = self.take(run, port, done);
        if taken.is_err() {
            self.wrong.store(true, Ordering::Relaxed);
        }
        if taken.is_err() || run.completed == run.count {
            // Whoever waits has been told already.
            let _ = run.over.try_send(());
        }
    }
}
