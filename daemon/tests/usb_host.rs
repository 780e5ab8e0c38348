//! The USB room against real gadgets: the kernel's own device side, plugged into its own host side by `dummy_hcd`.
//!
//! Every test makes its gadget through configfs, so it needs to be root in a kernel that has `dummy_hcd`, gadget
//! functions and `usb-storage`, as the lab's has. There is one bus for all, so the tests take turns.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_lite::StreamExt;
use p2pusb_protocol::{InterfaceClass, Speed, UrbFlags, UrbStatus};
use p2pusbd::usb::{
    Completion, Descriptors, DeviceInfo, DeviceKind, Hotplug, HotplugEvent, OpenDevice, Transfer, TransferData,
    TransferType, UsbError, UsbHost, dependence, enumerate, recovery,
};
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};
use tokio_udev::{AsyncMonitorSocket, EventType, MonitorBuilder};

/// Longer than anything here takes, even on a busy machine. A disk that is unplugged while the kernel looks at it may
/// keep it waiting for 30 seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// More than any test has in flight.
const COMPLETIONS: usize = 256;

const CONFIGFS: &str = "/sys/kernel/config/usb_gadget";

/// The gadget of one test. It is unplugged and removed when this is dropped.
struct Gadget {
    folder: PathBuf,
    udc: String,
    product: String,
    disk: Option<PathBuf>,
    _turn: MutexGuard<'static, ()>,
}

impl Gadget {
    /// A gadget with these functions, each in a configuration of its own, from 1 on. It is not plugged in yet.
    fn new(vendor: u16, product_id: u16, functions: &[&str]) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut controllers: Vec<_> = fs::read_dir("/sys/class/udc")
            .expect("no USB device controller: run this in the lab")
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("dummy_udc") && is_free(name))
            .collect();
        controllers.sort();
        let udc = controllers.first().expect("no free controller of dummy_hcd: run this in the lab").clone();
        let folder = Path::new(CONFIGFS).join("p2pusb-test");
        let product = "p2pusb test gadget".to_owned();
        let gadget = Self { folder, udc, product, disk: None, _turn: turn };
        fs::create_dir(&gadget.folder).unwrap();
        gadget.set("idVendor", &format!("{vendor:#06x}"));
        gadget.set("idProduct", &format!("{product_id:#06x}"));
        fs::create_dir(gadget.folder.join("strings/0x409")).unwrap();
        gadget.set("strings/0x409/manufacturer", "Acme");
        gadget.set("strings/0x409/product", &gadget.product);
        gadget.set("strings/0x409/serialnumber", "SERIAL0001");
        for (function, value) in functions.iter().zip(1..) {
            let instance = gadget.folder.join("functions").join(function);
            fs::create_dir(&instance).unwrap();
            let configuration = gadget.folder.join(format!("configs/c.{value}"));
            fs::create_dir(&configuration).unwrap();
        }
        gadget
    }

    fn link(&self, functions: &[&str]) {
        for (function, value) in functions.iter().zip(1..) {
            let instance = self.folder.join("functions").join(function);
            symlink(instance, self.folder.join(format!("configs/c.{value}/{function}"))).unwrap();
        }
    }

    /// A disk of 8 MiB, driven by usb-storage.
    fn disk() -> Self {
        let mut gadget = Self::new(0x0781, 0x5567, &["mass_storage.0"]);
        let disk = PathBuf::from("/dev/shm/p2pusb-test-disk");
        fs::File::create(&disk).unwrap().set_len(8 << 20).unwrap();
        gadget.set("functions/mass_storage.0/lun.0/file", disk.to_str().unwrap());
        gadget.set("functions/mass_storage.0/lun.0/removable", "1");
        gadget.disk = Some(disk);
        gadget.link(&["mass_storage.0"]);
        gadget
    }

    /// Sources and sinks zeros in configuration 1, gives back what it was given in configuration 2; driven by usbtest.
    fn source_sink() -> Self {
        let functions = ["SourceSink.0", "Loopback.0"];
        let gadget = Self::new(0x0525, 0xa4a0, &functions);
        gadget.link(&functions);
        gadget
    }

    /// A keyboard, driven by usbhid. What is written to `/dev/hidg0` is what it types.
    fn keyboard() -> Self {
        let gadget = Self::new(0x1d6b, 0x0104, &["hid.0"]);
        const REPORT: [u8; 63] = [
            0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01,
            0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08, 0x81, 0x03, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01,
            0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x03, 0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x25, 0x65,
            0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, 0xc0,
        ];
        gadget.set("functions/hid.0/protocol", "1");
        gadget.set("functions/hid.0/subclass", "1");
        gadget.set("functions/hid.0/report_length", "8");
        fs::write(gadget.folder.join("functions/hid.0/report_desc"), REPORT).unwrap();
        gadget.link(&["hid.0"]);
        gadget
    }

    fn set(&self, attribute: &str, value: &str) {
        fs::write(self.folder.join(attribute), value).unwrap_or_else(|error| panic!("{attribute}: {error}"));
    }

    fn plug(&self) {
        self.set("UDC", &self.udc);
    }

    /// Unplugs it and waits until the kernel has noticed.
    fn unplug(&self) {
        // Outside of the test's own runtime, which can't be waited in.
        std::thread::scope(|scope| scope.spawn(|| self.unplug_and_wait()).join()).unwrap();
    }

    fn unplug_and_wait(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut hotplug = Hotplug::new().unwrap();
            let there = enumerate().unwrap().into_iter().find(|info| info.product == self.product);
            // If it was not plugged in, this fails and changes nothing.
            let _ = fs::write(self.folder.join("UDC"), "\n");
            if let Some(info) = there {
                while next(&mut hotplug).await != HotplugEvent::Removed(info.bus_path.clone()) {}
            }
        });
    }

    /// Plugs it in and waits until the kernel is done with it.
    async fn plugged(&self) -> DeviceInfo {
        let mut hotplug = Hotplug::new().unwrap();
        self.plug();
        loop {
            if let HotplugEvent::Bound(info) = next(&mut hotplug).await
                && info.product == self.product
            {
                return info;
            }
        }
    }
}

impl Drop for Gadget {
    fn drop(&mut self) {
        self.unplug();
        // What is not there need not be undone.
        for configuration in entries(&self.folder.join("configs")) {
            for function in entries(&configuration).iter().filter(|entry| entry.is_symlink()) {
                let _ = fs::remove_file(function);
            }
            let _ = fs::remove_dir(configuration);
        }
        for function in entries(&self.folder.join("functions")) {
            let _ = fs::remove_dir(function);
        }
        let _ = fs::remove_dir(self.folder.join("strings/0x409"));
        let removed = fs::remove_dir(&self.folder);
        if let Some(disk) = &self.disk {
            let _ = fs::remove_file(disk);
        }
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

/// Whether no gadget is plugged into a device controller.
fn is_free(controller: &str) -> bool {
    fs::read_to_string(Path::new("/sys/class/udc").join(controller).join("function")).unwrap().trim().is_empty()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The next event of a USB device. What speaks SCSI comes between them, some time after its device.
async fn next(hotplug: &mut Hotplug) -> HotplugEvent {
    loop {
        match any(hotplug).await {
            HotplugEvent::Disk(_) => {}
            event => return event,
        }
    }
}

async fn any(hotplug: &mut Hotplug) -> HotplugEvent {
    timeout(PATIENCE, hotplug.next()).await.expect("no event").unwrap()
}

/// The driver of interface 0 of a device in configuration 1.
fn driver(info: &DeviceInfo) -> Option<String> {
    let link = info.sysfs.join(format!("{}:1.0/driver", info.bus_path));
    Some(fs::read_link(link).ok()?.file_name()?.to_str()?.to_owned())
}

/// The numbers of the endpoints of interface 0 in its alternate setting 0: IN, OUT.
fn endpoints(info: &DeviceInfo, configuration: u8) -> (u8, u8) {
    let descriptors = Descriptors::parse(&info.descriptors).unwrap();
    let interface = descriptors.configuration(configuration).unwrap().interfaces[0].clone();
    let find = |direction| interface.endpoints.iter().map(|e| e.address).find(|a| a & 0x80 == direction);
    (find(0x80).unwrap(), find(0).unwrap_or(0))
}

/// An open device with a channel for its completions.
struct Driven {
    device: Arc<OpenDevice>,
    done: mpsc::Sender<Completion>,
    completions: mpsc::Receiver<Completion>,
    last_tag: u64,
}

impl Driven {
    async fn open(host: &Arc<UsbHost>, info: &DeviceInfo) -> Self {
        let (host, info) = (host.clone(), info.clone());
        Self::new(spawn_blocking(move || host.open(&info)).await.unwrap().unwrap())
    }

    fn new(device: Arc<OpenDevice>) -> Self {
        let (done, completions) = mpsc::channel(COMPLETIONS);
        Self { device, done, completions, last_tag: 0 }
    }

    fn submit(&mut self, transfer: Transfer) -> Result<u64, UrbStatus> {
        self.last_tag += 1;
        self.device.submit(transfer, self.last_tag, &self.done).map(|()| self.last_tag)
    }

    fn submit_in(&mut self, endpoint: u8, length: usize) -> Result<u64, UrbStatus> {
        let (data, flags) = (TransferData::In(length), UrbFlags::empty());
        self.submit(Transfer { endpoint, setup: None, data, flags, packets: Vec::new() })
    }

    fn submit_out(&mut self, endpoint: u8, data: impl Into<Bytes>) -> Result<u64, UrbStatus> {
        let (data, flags) = (TransferData::Out(data.into()), UrbFlags::empty());
        self.submit(Transfer { endpoint, setup: None, data, flags, packets: Vec::new() })
    }

    async fn completion(&mut self) -> Completion {
        timeout(PATIENCE, self.completions.recv()).await.expect("no completion").unwrap()
    }

    /// The next completion, which must be this transfer's.
    async fn completion_of(&mut self, tag: u64) -> Completion {
        let completion = self.completion().await;
        assert_eq!(completion.tag, tag);
        completion
    }

    async fn read(&mut self, endpoint: u8, length: usize) -> Completion {
        let tag = self.submit_in(endpoint, length).unwrap();
        self.completion_of(tag).await
    }

    async fn write(&mut self, endpoint: u8, data: impl Into<Bytes>) -> Completion {
        let tag = self.submit_out(endpoint, data).unwrap();
        self.completion_of(tag).await
    }

    async fn control(&mut self, setup: [u8; 8], data: TransferData, flags: UrbFlags) -> Completion {
        let tag = self.submit(Transfer { endpoint: 0, setup: Some(setup), data, flags, packets: Vec::new() }).unwrap();
        self.completion_of(tag).await
    }

    async fn control_in(&mut self, setup: [u8; 8]) -> Completion {
        let length = u16::from_le_bytes([setup[6], setup[7]]);
        self.control(setup, TransferData::In(length.into()), UrbFlags::empty()).await
    }

    /// Runs one of the calls that block.
    async fn blocking<T: Send + 'static>(&self, call: impl FnOnce(&OpenDevice) -> T + Send + 'static) -> T {
        let device = self.device.clone();
        spawn_blocking(move || call(&device)).await.unwrap()
    }

    async fn give_back(self) -> p2pusbd::usb::GiveBackReport {
        let device = self.device;
        spawn_blocking(move || device.give_back()).await.unwrap()
    }

    /// INQUIRY, as usb-storage does it.
    async fn inquiry(&mut self, (input, output): (u8, u8)) {
        let mut command = b"USBC\x01\x02\x03\x04".to_vec();
        command.extend(36_u32.to_le_bytes());
        command.extend([0x80, 0, 6, 0x12, 0, 0, 0, 36, 0]);
        command.resize(31, 0);
        let sent = self.write(output, command).await;
        assert_eq!((sent.status, sent.actual_length, sent.data.len()), (UrbStatus::Ok, 31, 0));
        let data = self.read(input, 512).await;
        assert_eq!((data.status, data.actual_length, data.data.len()), (UrbStatus::Ok, 36, 36));
        assert_eq!(data.data[0] & 0x1f, 0, "not a disk: {:02x?}", data.data);
        assert_eq!(&data.data[8..16], b"Linux   ");
        let status = self.read(input, 13).await;
        assert_eq!(status.status, UrbStatus::Ok);
        assert_eq!(&status.data[..], b"USBS\x01\x02\x03\x04\0\0\0\0\0");
    }
}

const GET_DEVICE_DESCRIPTOR: [u8; 8] = [0x80, 6, 0, 1, 0, 0, 255, 0];

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn devices_are_enumerated() {
    let gadget = Gadget::disk();
    let added = gadget.plugged().await;
    let found = enumerate().unwrap();
    let info = found.iter().find(|info| info.bus_path == added.bus_path).unwrap();
    assert_eq!((info.vendor_id, info.product_id, info.class), (0x0781, 0x5567, 0));
    assert_eq!((info.manufacturer.as_str(), info.product.as_str()), ("Acme", gadget.product.as_str()));
    assert_eq!((info.speed, info.kind, info.configuration), (Speed::High, DeviceKind::Ordinary, Some(1)));
    assert_eq!(info.interfaces, [InterfaceClass { class: 8, subclass: 6, protocol: 0x50 }]);
    assert!(info.stable_id().starts_with("0781:5567:") && !format!("{info:?}").contains("SERIAL0001"));
    assert!(info.descriptors.starts_with(&[18, 1]));
    assert!(found.is_sorted_by_key(|info| &info.bus_path));
    let hub = found.iter().find(|hub| hub.bus_path.to_string() == format!("usb{}", info.bus_number)).unwrap();
    assert_eq!(hub.kind, DeviceKind::RootHub);
    let virtual_hubs = found.iter().filter(|info| info.sysfs.to_str().unwrap().contains("vhci_hcd"));
    assert!(virtual_hubs.into_iter().all(|hub| hub.kind == DeviceKind::RootHub));
    gadget.unplug();
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_disk_is_told_with_the_device_that_has_it() {
    let gadget = Gadget::disk();
    let mut hotplug = Hotplug::new().unwrap();
    let info = gadget.plugged().await;
    let disk = loop {
        if let HotplugEvent::Disk(disk) = any(&mut hotplug).await {
            break disk;
        }
    };
    assert!(disk.starts_with(&info.sysfs), "{}", disk.display());
    assert!(disk.join("timeout").exists(), "{}", disk.display());
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn plugging_and_unplugging_is_told() {
    let gadget = Gadget::disk();
    let mut hotplug = Hotplug::new().unwrap();
    for _ in 0..3 {
        gadget.plug();
        let info = loop {
            match next(&mut hotplug).await {
                // Told as soon as it is configured, which may be when its drivers are there, too.
                HotplugEvent::Added(info) => assert_eq!(info.configuration, Some(1)),
                HotplugEvent::Bound(info) => break info,
                event => panic!("{event:?}"),
            }
        };
        assert_eq!((info.product.as_str(), info.configuration), (gadget.product.as_str(), Some(1)));
        assert_eq!(info.interfaces.len(), 1);
        assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
        gadget.unplug();
        loop {
            match next(&mut hotplug).await {
                // The driver being unbound is a change, if it was seen while the device was still there.
                HotplugEvent::Changed(changed) => assert_eq!(changed.bus_path, info.bus_path),
                event => break assert_eq!(event, HotplugEvent::Removed(info.bus_path)),
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_mounted_disk_is_dependence() {
    let gadget = Gadget::disk();
    let made = Command::new("mkfs.ext4").arg("-q").arg(gadget.disk.as_ref().unwrap()).status().unwrap();
    assert!(made.success());
    // The disk appears when usb-storage's own thread has looked at it.
    let disks = MonitorBuilder::new_kernel().unwrap().match_subsystem("block").unwrap().listen().unwrap();
    let mut disks = AsyncMonitorSocket::new(disks).unwrap();
    let info = gadget.plugged().await;
    let node = loop {
        let disk = timeout(PATIENCE, disks.next()).await.expect("no disk").unwrap().unwrap();
        if disk.event_type() == EventType::Add && disk.syspath().starts_with(&info.sysfs) {
            break disk.devnode().unwrap().to_owned();
        }
    };
    assert_eq!(dependence(&info), Vec::<String>::new());
    let point = tempfile::tempdir_in("/dev/shm").unwrap();
    assert!(Command::new("mount").arg(&node).arg(point.path()).status().unwrap().success());
    let reasons = dependence(&info);
    assert!(Command::new("umount").arg(point.path()).status().unwrap().success());
    assert_eq!(reasons, [format!("a file system on it is mounted at {}", point.path().display())]);
    assert_eq!(dependence(&info), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn the_only_keyboard_is_dependence() {
    let gadget = Gadget::keyboard();
    let info = gadget.plugged().await;
    assert_eq!(driver(&info).as_deref(), Some("usbhid"));
    assert_eq!(dependence(&info), ["it is this machine's only keyboard"]);
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_device_is_taken_and_given_back() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
    let host = UsbHost::start().unwrap();
    let driven = Driven::open(&host, &info).await;
    assert_eq!(driver(&info).as_deref(), Some("usbfs"));
    let (input, output) = endpoints(&info, 1);
    let types = [0x00, 0x80, input, output, 0x0f, 0x8f].map(|address| driven.device.endpoint(address));
    let (control, bulk) = (Some(TransferType::Control), Some(TransferType::Bulk));
    assert_eq!(types, [control, control, bulk, bulk, None, None]);
    // Nobody else gets it meanwhile.
    let (again, second) = (host.clone(), info.clone());
    let error = spawn_blocking(move || again.open(&second)).await.unwrap().unwrap_err();
    assert!(matches!(error, UsbError::Busy { .. }), "{error}");
    let report = driven.give_back().await;
    assert_eq!(report.restored, [(0, "usb-storage".to_owned())]);
    assert_eq!((report.gone, report.stuck, report.lost.len()), (false, 0, 0));
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
    assert_eq!(host.open_devices(), 0);
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_dropped_device_is_given_back_too() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let (input, _) = endpoints(&info, 1);
    driven.submit_in(input, 512).unwrap();
    let Driven { device, mut completions, done, .. } = driven;
    spawn_blocking(move || drop(device)).await.unwrap();
    assert_eq!(completions.try_recv().unwrap().status, UrbStatus::Cancelled);
    drop(done);
    assert_eq!(completions.recv().await.map(|completion| completion.status), None);
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn what_is_not_there_or_may_not_be_taken_is_refused() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let refused = |info: DeviceInfo| {
        let host = host.clone();
        async move { spawn_blocking(move || host.open(&info)).await.unwrap().unwrap_err() }
    };
    let hub = enumerate().unwrap().into_iter().find(|info| info.kind == DeviceKind::RootHub).unwrap();
    assert!(matches!(refused(hub).await, UsbError::Hub(_)));
    // The place has another device by now: the number is from an earlier plugging, or the descriptors are.
    let mut stale = info.clone();
    stale.descriptors = Bytes::from_static(&[18, 1]);
    assert!(matches!(refused(stale).await, UsbError::NotFound(_)));
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
    gadget.unplug();
    assert!(matches!(refused(info.clone()).await, UsbError::NotFound(_)));
    let replugged = gadget.plugged().await;
    assert_eq!(replugged.bus_path, info.bus_path);
    assert!(matches!(refused(info).await, UsbError::NotFound(_)));
    assert_eq!(host.open_devices(), 0);
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_disk_answers_inquiry() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let endpoints = endpoints(&info, 1);
    driven.inquiry(endpoints).await;
    driven.inquiry(endpoints).await;
    // After a reset, too.
    driven.blocking(|device| device.reset()).await.unwrap();
    assert_eq!(driver(&info).as_deref(), Some("usbfs"));
    driven.inquiry(endpoints).await;
    driven.give_back().await;
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn control_transfers_carry_what_the_setup_packet_says() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let descriptor = driven.control_in(GET_DEVICE_DESCRIPTOR).await;
    assert_eq!((descriptor.status, descriptor.actual_length), (UrbStatus::Ok, 18));
    assert_eq!(descriptor.data, info.descriptors[..18]);
    let strict = driven.control(GET_DEVICE_DESCRIPTOR, TransferData::In(255), UrbFlags::SHORT_NOT_OK).await;
    assert_eq!((strict.status, strict.actual_length, strict.data.len()), (UrbStatus::ShortNotOk, 18, 18));
    // Nobody answers this one.
    let vendor = driven.control_in([0xc0, 0x77, 0, 0, 0, 0, 8, 0]).await;
    assert_eq!((vendor.status, vendor.actual_length), (UrbStatus::Stalled, 0));
    // A class request without data, and GET_MAX_LUN.
    let reset =
        driven.control([0x21, 0xff, 0, 0, 0, 0, 0, 0], TransferData::Out(Bytes::new()), UrbFlags::empty()).await;
    assert_eq!((reset.status, reset.actual_length), (UrbStatus::Ok, 0));
    let luns = driven.control_in([0xa1, 0xfe, 0, 0, 0, 0, 1, 0]).await;
    assert_eq!((luns.status, &luns.data[..]), (UrbStatus::Ok, &[0][..]));

    let mut refused = |endpoint, setup, data| {
        driven.submit(Transfer { endpoint, setup, data, flags: UrbFlags::empty(), packets: Vec::new() }).unwrap_err()
    };
    let out = |len: usize| TransferData::Out(vec![0; len].into());
    let set_configuration = [0, 9, 1, 0, 0, 0, 0, 0];
    assert_eq!(refused(0, Some(set_configuration), out(0)), UrbStatus::Invalid);
    // The setup packet and the data don't agree.
    assert_eq!(refused(0, Some(GET_DEVICE_DESCRIPTOR), TransferData::In(18)), UrbStatus::Invalid);
    assert_eq!(refused(0, Some(GET_DEVICE_DESCRIPTOR), out(255)), UrbStatus::Invalid);
    assert_eq!(refused(0, Some([0x40, 0x77, 0, 0, 0, 0, 4, 0]), out(3)), UrbStatus::Invalid);
    assert_eq!(refused(0, Some([0x40, 0x77, 0, 0, 0, 0, 4, 0]), TransferData::In(4)), UrbStatus::Invalid);
    assert_eq!(refused(0, None, TransferData::In(18)), UrbStatus::Invalid);
    // Endpoints: a setup packet for a bulk one, the wrong direction, and none at all.
    let (input, output) = endpoints(&info, 1);
    assert_eq!(refused(input, Some(GET_DEVICE_DESCRIPTOR), TransferData::In(255)), UrbStatus::Invalid);
    assert_eq!(refused(input, None, out(1)), UrbStatus::Invalid);
    assert_eq!(refused(output, None, TransferData::In(1)), UrbStatus::Invalid);
    assert_eq!(refused(0x8f, None, TransferData::In(1)), UrbStatus::NoEndpoint);
    assert_eq!(refused(input | 0x40, None, TransferData::In(1)), UrbStatus::NoEndpoint);
    assert_eq!(refused(input, None, TransferData::In(usize::MAX)), UrbStatus::NoMemory);
    // More than usbfs carries in a control transfer.
    let long = driven.submit(Transfer {
        endpoint: 0,
        setup: Some([0xc0, 0x77, 0, 0, 0, 0, 0, 0x20]),
        data: TransferData::In(0x2000),
        flags: UrbFlags::empty(),
        packets: Vec::new(),
    });
    assert_eq!(long, Err(UrbStatus::Invalid));
    assert_eq!(driven.device.in_flight(), 0);
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_waiting_transfer_waits_until_it_is_cancelled() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let (input, output) = endpoints(&info, 1);
    // Without a command a disk has nothing to say.
    let waiting: Vec<u64> = (0..8).map(|_| driven.submit_in(input, 512).unwrap()).collect();
    assert_eq!(driven.device.in_flight(), 8);
    // One in the middle. Unknown ones, and those of another endpoint, don't matter; nor does asking twice.
    driven.device.cancel(input, 999);
    driven.device.cancel(output, waiting[3]);
    driven.device.cancel(input, waiting[3]);
    driven.device.cancel(input, waiting[3]);
    let completion = driven.completion_of(waiting[3]).await;
    assert_eq!((completion.endpoint, completion.status), (input, UrbStatus::Cancelled));
    assert_eq!((completion.actual_length, completion.data.len()), (0, 0));
    assert_eq!(driven.device.in_flight(), 7);
    driven.device.cancel(input, waiting[3]);
    // A tag is free again after its completion, and taken before.
    let (data, flags) = (TransferData::In(512), UrbFlags::empty());
    let transfer = Transfer { endpoint: input, setup: None, data, flags, packets: Vec::new() };
    assert_eq!(driven.device.submit(transfer.clone(), waiting[0], &driven.done), Err(UrbStatus::Invalid));
    driven.device.submit(transfer, waiting[3], &driven.done).unwrap();
    // The others still work: the first of them gets what a command brings.
    for tag in &waiting[1..] {
        driven.device.cancel(input, *tag);
    }
    let mut cancelled = Vec::new();
    for _ in 0..7 {
        let completion = driven.completion().await;
        assert_eq!(completion.status, UrbStatus::Cancelled);
        cancelled.push(completion.tag);
    }
    cancelled.sort();
    assert_eq!(cancelled, waiting[1..]);
    let mut command = b"USBC\x01\x02\x03\x04".to_vec();
    command.extend(36_u32.to_le_bytes());
    command.extend([0x80, 0, 6, 0x12, 0, 0, 0, 36, 0]);
    command.resize(31, 0);
    let sent = driven.submit_out(output, command).unwrap();
    for _ in 0..2 {
        let completion = driven.completion().await;
        assert_eq!(completion.status, UrbStatus::Ok);
        assert_eq!(completion.actual_length, if completion.tag == sent { 31 } else { 36 });
    }
    driven.read(input, 13).await;
    driven.give_back().await;
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn interrupt_transfers_wait_for_reports() {
    let gadget = Gadget::keyboard();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let (input, _) = endpoints(&info, 1);
    assert_eq!(driven.device.endpoint(input), Some(TransferType::Interrupt));
    let first = driven.submit_in(input, 8).unwrap();
    let second = driven.submit_in(input, 8).unwrap();
    let third = driven.submit_in(input, 8).unwrap();
    driven.device.cancel(input, first);
    assert_eq!(driven.completion_of(first).await.status, UrbStatus::Cancelled);
    let mut keys = fs::OpenOptions::new().write(true).open("/dev/hidg0").unwrap();
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    for tag in [second, third] {
        // Less than a packet: behind a full one the gadget sends an empty one.
        let report = [0, 0, tag as u8, 0, 0, 0, 0];
        keys.write_all(&report).unwrap();
        sent.push(report.to_vec());
        let completion = driven.completion_of(tag).await;
        assert_eq!(completion.status, UrbStatus::Ok);
        received.push(completion.data.to_vec());
    }
    assert_eq!(sent, received);
    driven.give_back().await;
    assert_eq!(driver(&info).as_deref(), Some("usbhid"));
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn many_transfers_are_in_flight_and_in_order() {
    const DEPTH: usize = 64;
    // What the gadget sends comes in pieces of 4096 bytes.
    const LENGTH: usize = 5 * 4096;
    let gadget = Gadget::source_sink();
    let info = gadget.plugged().await;
    assert_eq!(driver(&info).as_deref(), Some("usbtest"));
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let (input, output) = endpoints(&info, 1);
    let mut tags = Vec::new();
    for _ in 0..DEPTH {
        tags.push((driven.submit_in(input, LENGTH).unwrap(), true));
        tags.push((driven.submit_out(output, vec![0; LENGTH]).unwrap(), false));
    }
    let mut last = BTreeMap::new();
    for round in 0..10 * DEPTH {
        let completion = driven.completion().await;
        assert_eq!((completion.status, completion.actual_length), (UrbStatus::Ok, LENGTH as u32));
        let is_in = completion.endpoint == input;
        assert_eq!(completion.data.len(), if is_in { LENGTH } else { 0 });
        assert!(completion.data.iter().all(|byte| *byte == 0));
        // On one endpoint they end in the order in which they began.
        let before = last.insert(completion.endpoint, completion.tag);
        assert!(before.is_none_or(|before| before < completion.tag));
        if round < 8 * DEPTH {
            match is_in {
                true => driven.submit_in(input, LENGTH).unwrap(),
                false => driven.submit_out(output, vec![0; LENGTH]).unwrap(),
            };
        }
    }
    assert_eq!(driven.device.in_flight(), 0);
    // A channel that is too small refuses what it could not deliver.
    let (small, mut completions) = mpsc::channel(1);
    let transfer = Transfer {
        endpoint: input,
        setup: None,
        data: TransferData::In(512),
        flags: UrbFlags::empty(),
        packets: Vec::new(),
    };
    driven.device.submit(transfer.clone(), 1, &small).unwrap();
    assert_eq!(driven.device.submit(transfer.clone(), 2, &small), Err(UrbStatus::NoMemory));
    assert_eq!(timeout(PATIENCE, completions.recv()).await.unwrap().unwrap().tag, 1);
    driven.device.submit(transfer, 2, &small).unwrap();
    driven.give_back().await;
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn configurations_are_changed_and_restored() {
    let gadget = Gadget::source_sink();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let first = endpoints(&info, 1);
    let second = endpoints(&info, 2);
    let get_configuration = [0x80, 8, 0, 0, 0, 0, 1, 0];

    // The active one again: transfers end, and all goes on.
    let waiting = driven.submit_in(first.0, 512).unwrap();
    assert_eq!(driven.completion_of(waiting).await.status, UrbStatus::Ok);
    driven.blocking(|device| device.set_configuration(1)).await.unwrap();
    assert_eq!(driven.read(first.0, 512).await.status, UrbStatus::Ok);

    // The other one, whose function gives back what it gets, in pieces of its buffer's length.
    driven.blocking(|device| device.set_configuration(2)).await.unwrap();
    assert_eq!(driven.control_in(get_configuration).await.data, [2][..]);
    let message: Vec<u8> = (0..4096).map(|n| (n * 7 + n / 256) as u8).collect();
    let sent = driven.write(second.1, message.clone()).await;
    assert_eq!((sent.status, sent.actual_length), (UrbStatus::Ok, 4096));
    assert_eq!(driven.read(second.0, 4096).await.data, message);

    // None.
    driven.blocking(|device| device.set_configuration(0)).await.unwrap();
    assert_eq!(driven.control_in(get_configuration).await.data, [0][..]);
    assert_eq!(driven.device.endpoint(first.0), None);
    assert_eq!(driven.submit_in(first.0, 512), Err(UrbStatus::NoEndpoint));

    // One that does not exist.
    assert_eq!(driven.blocking(|device| device.set_configuration(9)).await, Err(UrbStatus::Stalled));
    driven.blocking(|device| device.set_configuration(2)).await.unwrap();
    assert!(driven.device.endpoint(second.0).is_some());

    let report = driven.give_back().await;
    assert_eq!(report.restored, [(0, "usbtest".to_owned())]);
    assert_eq!(fs::read_to_string(info.sysfs.join("bConfigurationValue")).unwrap().trim(), "1");
    assert_eq!(driver(&info).as_deref(), Some("usbtest"));
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn alternate_settings_and_halts_are_the_kernels_business() {
    let gadget = Gadget::source_sink();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let (input, output) = endpoints(&info, 1);
    let alternates = Descriptors::parse(&info.descriptors).unwrap().configuration(1).unwrap().interfaces.clone();
    assert_eq!(driven.blocking(|device| device.set_interface(0, 7)).await, Err(UrbStatus::Stalled));
    assert_eq!(driven.blocking(|device| device.set_interface(5, 0)).await, Err(UrbStatus::Stalled));
    let current = fs::read_to_string(info.sysfs.join(format!("{}:1.0/bAlternateSetting", info.bus_path)));
    assert_eq!(current.unwrap().trim(), "0");
    if let Some(second) = alternates.iter().find(|interface| interface.alternate == 1).cloned() {
        driven.blocking(|device| device.set_interface(0, 1)).await.unwrap();
        for endpoint in &second.endpoints {
            assert_eq!(driven.device.endpoint(endpoint.address), Some(endpoint.transfer_type));
        }
        let isochronous = second.endpoints.iter().find(|e| e.transfer_type == TransferType::Isochronous);
        if let Some(endpoint) = isochronous.filter(|endpoint| endpoint.address & 0x80 != 0) {
            // Not of a kind that can be submitted.
            assert_eq!(driven.submit_in(endpoint.address, 512), Err(UrbStatus::Invalid));
        }
        driven.blocking(|device| device.set_interface(0, 0)).await.unwrap();
    }
    driven.blocking(|device| device.set_interface(0, 0)).await.unwrap();
    assert_eq!(driven.read(input, 512).await.status, UrbStatus::Ok);

    // SET_FEATURE(ENDPOINT_HALT), which is not the kernel's business.
    for endpoint in [input, output] {
        let halt = [0x02, 3, 0, 0, endpoint, 0, 0, 0];
        assert_eq!(
            driven.control(halt, TransferData::Out(Bytes::new()), UrbFlags::empty()).await.status,
            UrbStatus::Ok
        );
        let halted = match endpoint & 0x80 {
            0 => driven.write(output, vec![0; 512]).await,
            _ => driven.read(input, 512).await,
        };
        assert_eq!((halted.status, halted.actual_length), (UrbStatus::Stalled, 0));
        driven.blocking(move |device| device.clear_halt(endpoint)).await.unwrap();
    }
    assert_eq!(driven.read(input, 512).await.status, UrbStatus::Ok);
    assert_eq!(driven.write(output, vec![0; 512]).await.status, UrbStatus::Ok);
    assert_eq!(driven.blocking(|device| device.clear_halt(0x0f)).await, Err(UrbStatus::Stalled));
    driven.give_back().await;
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn unplugging_ends_everything_in_flight() {
    let gadget = Gadget::disk();
    let host = UsbHost::start().unwrap();
    for round in 0..6 {
        let info = gadget.plugged().await;
        let mut driven = Driven::open(&host, &info).await;
        let mut hotplug = Hotplug::new().unwrap();
        let (input, _) = endpoints(&info, 1);
        for _ in 0..16 {
            driven.submit_in(input, 4096).unwrap();
        }
        if round % 2 == 0 {
            gadget.unplug();
        } else {
            // The kernel drops the device while it is still there.
            fs::write(info.sysfs.join("remove"), "1").unwrap();
        }
        for _ in 0..16 {
            match driven.completion().await.status {
                UrbStatus::Gone => {}
                // Until the hub has noticed, the host controller only sees that nobody answers.
                UrbStatus::Failed if round % 2 == 0 => {}
                other => panic!("{other}"),
            }
        }
        while next(&mut hotplug).await != HotplugEvent::Removed(info.bus_path.clone()) {}
        assert_eq!(driven.device.in_flight(), 0);
        assert_eq!(driven.submit_in(input, 512), Err(UrbStatus::Gone));
        assert_eq!(driven.blocking(|device| device.set_interface(0, 0)).await, Err(UrbStatus::Gone));
        assert_eq!(driven.blocking(|device| device.clear_halt(0x81)).await, Err(UrbStatus::Gone));
        assert_eq!(driven.blocking(|device| device.set_configuration(1)).await, Err(UrbStatus::Gone));
        assert_eq!(driven.blocking(|device| device.reset()).await, Err(UrbStatus::Gone));
        driven.device.cancel(input, 1);
        let report = driven.give_back().await;
        assert!(report.gone && report.stuck == 0, "{report:?}");
        if round % 2 != 0 {
            gadget.unplug();
        }
    }
    assert_eq!(host.open_devices(), 0);
    host.stop();
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn giving_back_cancels_what_is_in_flight() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let mut driven = Driven::open(&host, &info).await;
    let (input, _) = endpoints(&info, 1);
    for _ in 0..16 {
        driven.submit_in(input, 4096).unwrap();
    }
    let device = driven.device.clone();
    let report = spawn_blocking(move || device.give_back()).await.unwrap();
    assert_eq!((report.stuck, report.restored.len()), (0, 1));
    // They were there before it returned.
    for _ in 0..16 {
        assert_eq!(driven.completions.try_recv().unwrap().status, UrbStatus::Cancelled);
    }
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
    // Whoever still has it can do nothing with it.
    assert_eq!(driven.submit_in(input, 512), Err(UrbStatus::Gone));
    assert_eq!(driven.blocking(|device| device.set_configuration(1)).await, Err(UrbStatus::Gone));
    assert_eq!(driven.blocking(|device| device.set_interface(0, 0)).await, Err(UrbStatus::Gone));
    assert_eq!(driven.blocking(|device| device.reset()).await, Err(UrbStatus::Gone));
    driven.device.cancel(input, 1);
    assert_eq!(driven.give_back().await, Default::default());
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_hundred_rounds_leave_nothing_behind() {
    let gadget = Gadget::source_sink();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let (input, output) = endpoints(&info, 1);
    let state = || {
        let threads = entries(Path::new("/proc/self/task")).into_iter();
        let ours = threads.filter_map(|task| fs::read_to_string(task.join("comm")).ok());
        (entries(Path::new("/proc/self/fd")).len(), ours.filter(|name| name.starts_with("usb-")).count())
    };
    let mut before = None;
    for round in 0..100 {
        let mut driven = Driven::open(&host, &info).await;
        for _ in 0..round % 5 {
            driven.submit_in(input, 4096).unwrap();
            driven.submit_out(output, vec![0; 4096]).unwrap();
        }
        if round % 3 == 0 {
            driven.device.cancel(input, 1);
        }
        driven.give_back().await;
        assert_eq!(driver(&info).as_deref(), Some("usbtest"));
        // The first round shows what there is.
        let now = state();
        assert_eq!(*before.get_or_insert(now), now, "in round {round}");
    }
    assert_eq!(host.open_devices(), 0);
}

/// Threads that submit and cancel against each other. Exactly one completion for each transfer, whatever happens.
#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn submitting_cancelling_and_completing_may_meet() {
    const ROUNDS: u64 = 2_000;
    let gadget = Gadget::source_sink();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let driven = Driven::open(&host, &info).await;
    let (input, output) = endpoints(&info, 1);
    let (done, mut completions) = mpsc::channel(2 * ROUNDS as usize);
    let submit = |endpoint: u8| {
        let (device, done) = (driven.device.clone(), done.clone());
        spawn_blocking(move || {
            for tag in 1..=ROUNDS {
                let data = match endpoint & 0x80 {
                    0 => TransferData::Out(Bytes::from_static(&[0; 512])),
                    _ => TransferData::In(512),
                };
                let flags = UrbFlags::empty();
                device
                    .submit(Transfer { endpoint, setup: None, data, flags, packets: Vec::new() }, tag, &done)
                    .unwrap();
                if tag % 2 == 0 {
                    device.cancel(endpoint, tag);
                }
                // Somebody else's, perhaps just ending, perhaps not begun.
                device.cancel(endpoint ^ 0x80, tag);
                while device.in_flight() > 64 {
                    std::thread::yield_now();
                }
            }
        })
    };
    let submitters = [submit(input), submit(output)];
    let mut seen = BTreeMap::new();
    for _ in 0..2 * ROUNDS {
        let completion = timeout(PATIENCE, completions.recv()).await.unwrap().unwrap();
        match completion.status {
            UrbStatus::Ok => assert_eq!(completion.actual_length, 512),
            UrbStatus::Cancelled => assert_eq!(completion.actual_length, 0),
            other => panic!("{other}"),
        }
        assert!(seen.insert((completion.endpoint, completion.tag), completion.status).is_none());
    }
    for submitter in submitters {
        submitter.await.unwrap();
    }
    assert_eq!(driven.device.in_flight(), 0);
    let cancelled = seen.values().filter(|status| **status == UrbStatus::Cancelled).count();
    assert!(cancelled > 0, "nothing was cancelled in time");
    driven.give_back().await;
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn a_stopped_host_opens_nothing() {
    let gadget = Gadget::disk();
    let info = gadget.plugged().await;
    let host = UsbHost::start().unwrap();
    let threads = || -> Vec<String> {
        let names = entries(Path::new("/proc/self/task")).into_iter();
        let mut names: Vec<String> = names
            .filter_map(|task| fs::read_to_string(task.join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| name.starts_with("usb-"))
            .collect();
        names.sort();
        names
    };
    let driven = Driven::open(&host, &info).await;
    assert_eq!(threads(), ["usb-cancel", "usb-events"]);
    // Stopping waits for whoever is giving back.
    let stopping = spawn_blocking({
        let host = host.clone();
        move || host.stop()
    });
    driven.give_back().await;
    stopping.await.unwrap();
    assert_eq!(threads(), ["usb-cancel"]);
    let (stopped, again) = (host.clone(), info.clone());
    let error = spawn_blocking(move || stopped.open(&again)).await.unwrap().unwrap_err();
    assert!(matches!(error, UsbError::Stopping), "{error}");
    host.stop();
    drop(host);
    assert_eq!(threads(), Vec::<String>::new());
    assert_eq!(driver(&info).as_deref(), Some("usb-storage"));
}

/// Not a test but the victim of the next one: takes a device, says so, and waits to be killed.
#[test]
#[ignore = "started by the_devices_of_a_killed_daemon_are_given_back"]
fn victim() {
    let Ok(bus_path) = env::var("P2PUSB_TEST_VICTIM") else { return };
    let info = enumerate().unwrap().into_iter().find(|info| info.bus_path.as_str() == bus_path).unwrap();
    let host = UsbHost::start().unwrap();
    let device = host.open(&info).unwrap();
    device.set_configuration(2).unwrap();
    println!("taken");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    panic!("not killed");
}

#[tokio::test]
#[ignore = "needs the lab: run by its usb-host scenario"]
async fn the_devices_of_a_killed_daemon_are_given_back() {
    let runtime = tempfile::tempdir().unwrap();
    let gadget = Gadget::source_sink();
    let info = gadget.plugged().await;
    recovery::record(runtime.path(), &info).unwrap();
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "victim", "--nocapture"])
        .env("P2PUSB_TEST_VICTIM", info.bus_path.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("taken")));
    victim.kill().unwrap();
    victim.wait().unwrap();
    let configuration = || fs::read_to_string(info.sysfs.join("bConfigurationValue")).unwrap().trim().to_owned();
    assert_eq!((configuration().as_str(), driver(&info)), ("2", None));
    assert_eq!(recovery::give_back_all(runtime.path()).unwrap(), std::slice::from_ref(&info.bus_path));
    assert_eq!((configuration().as_str(), driver(&info).as_deref()), ("1", Some("usbtest")));

    // And one that only lost its driver.
    fs::write(Path::new("/sys/bus/usb/drivers/usbtest/unbind"), format!("{}:1.0", info.bus_path)).unwrap();
    assert_eq!(driver(&info), None);
    recovery::give_back_all(runtime.path()).unwrap();
    assert_eq!(driver(&info), None, "there is no record any more");
    let mut before = info.clone();
    before.configuration = Some(1);
    fs::write("/sys/bus/usb/drivers_probe", format!("{}:1.0", info.bus_path)).unwrap();
    recovery::record(runtime.path(), &before).unwrap();
    fs::write(Path::new("/sys/bus/usb/drivers/usbtest/unbind"), format!("{}:1.0", info.bus_path)).unwrap();
    assert_eq!(recovery::give_back_all(runtime.path()).unwrap(), std::slice::from_ref(&info.bus_path));
    assert_eq!(driver(&info).as_deref(), Some("usbtest"));
}
