//! A host with simulated devices, and the thread on which their transfers complete.

use std::{
    collections::{BTreeMap, VecDeque},
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use p2pusb_protocol::UrbStatus;
use tokio::sync::mpsc;

use super::{SimDevice, device::OpenSim, model::Model};
use crate::usb::{BusPath, Device, DeviceInfo, Host, UsbError};

/// A host with simulated devices.
#[derive(Debug)]
pub struct SimHost {
    devices: Mutex<BTreeMap<BusPath, Arc<SimDevice>>>,
    worker: Arc<Worker>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SimHost {
    /// A host without devices.
    ///
    /// # Errors
    ///
    /// When its thread can't be started.
    pub fn start() -> io::Result<Arc<Self>> {
        let worker = Arc::<Worker>::default();
        let run = {
            let worker = worker.clone();
            move || worker.run()
        };
        let thread = thread::Builder::new().name("sim-usb".into()).spawn(run)?;
        Ok(Arc::new(Self { devices: Mutex::default(), worker, thread: Mutex::new(Some(thread)) }))
    }

    /// Plugs in a device. What the rest of the daemon is to be told of it comes back with it.
    pub fn plug(&self, bus_path: BusPath, model: Model) -> (Arc<SimDevice>, DeviceInfo) {
        let info = model.info(bus_path.clone());
        let device = Arc::new(SimDevice::new(model));
        self.devices().insert(bus_path, device.clone());
        (device, info)
    }

    /// Pulls a device out. Its transfers end as on a device that is gone.
    pub fn unplug(&self, bus_path: &BusPath) {
        if let Some(device) = self.devices().remove(bus_path) {
            device.end(UrbStatus::Gone);
        }
    }

    fn devices(&self) -> MutexGuard<'_, BTreeMap<BusPath, Arc<SimDevice>>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for SimHost {
    fn open(self: Arc<Self>, info: &DeviceInfo) -> Result<Arc<dyn Device>, UsbError> {
        let device = self.devices().get(&info.bus_path).cloned();
        let device = device.ok_or_else(|| UsbError::NotFound(info.bus_path.clone()))?;
        device.open();
        Ok(Arc::new(OpenSim { device, worker: self.worker.clone() }))
    }
}

impl Drop for SimHost {
    fn drop(&mut self) {
        self.worker.post(Job::Stop);
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic in there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Complete what can be completed on this endpoint.
    Run {
        device: Arc<SimDevice>,
        endpoint: u8,
    },
    /// Cancel a transfer.
    Cancel {
        device: Arc<SimDevice>,
        endpoint: u8,
        tag: u64,
    },
    Stop,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    jobs: Mutex<VecDeque<Job>>,
    posted: Condvar,
}

impl Worker {
    /// There is at most one job for each transfer in flight and each endpoint, which bounds the queue.
    pub(super) fn post(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
        self.posted.notify_one();
    }

    fn run(&self) {
        let mut now = VecDeque::new();
        // Endpoints that have something to do at a later time.
        let mut later: Vec<(Instant, Arc<SimDevice>, u8)> = Vec::new();
        loop {
            {
                let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                while jobs.is_empty() {
                    let Some(due) = later.iter().map(|(due, ..)| *due).min() else {
                        jobs = self.posted.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                        continue;
                    };
                    let pause = due.saturating_duration_since(Instant::now());
                    if pause.is_zero() {
                        break;
                    }
                    jobs = self.posted.wait_timeout(jobs, pause).unwrap_or_else(PoisonError::into_inner).0;
                }
                mem::swap(&mut *jobs, &mut now);
            }
            let time = Instant::now();
            later.retain(|(due, device, endpoint)| {
                let is_due = *due <= time;
                if is_due {
                    now.push_back(Job::Run { device: device.clone(), endpoint: *endpoint });
                }
                !is_due
            });
            for job in now.drain(..) {
                match job {
                    Job::Run { device, endpoint } => {
                        if let Some(due) = device.run(endpoint)
                            && !later.iter().any(|(_, other, at)| Arc::ptr_eq(other, &device) && *at == endpoint)
                        {
                            later.push((due, device, endpoint));
                        }
                    }
                    Job::Cancel { device, endpoint, tag } => device.cancel(endpoint, tag),
                    Job::Stop => return,
                }
            }
        }
    }
}

/// The place of a transfer's completion.
pub(super) type Done = mpsc::OwnedPermit<crate::usb::Completion>;
