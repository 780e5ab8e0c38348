//! What a simulated device is.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use p2pusb_protocol::{InterfaceClass, Speed};

use crate::usb::{BusPath, DeviceInfo, DeviceKind, TransferType};

/// The vendor id of all simulated devices: the one of the Linux Foundation, whose gadgets they resemble.
const VENDOR: u16 = 0x1d6b;
const PRODUCT: u16 = 0x51d0;
/// The class for what follows no class.
const VENDOR_SPECIFIC: u8 = 0xff;

/// What an endpoint does with its transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// IN: gives as many bytes as are asked for. The first transfer gets [`pattern(0, …)`](crate::sim::pattern), the
    /// next one that completes `pattern(1, …)`.
    Source,
    /// OUT: takes everything and holds it against the same patterns.
    Sink,
    /// OUT: takes everything and notes the number that the first eight bytes are, little endian.
    Recorder,
    /// What goes out on the endpoint of a number comes in on the one with the same number.
    Loopback,
    /// IN: 16 bytes, the number of the report and the time when it was made, see [`report_age`]. A report that nobody
    /// waits for is dropped and counted.
    Reports,
    /// Never completes anything.
    Stuck,
}

/// An endpoint of a simulated device.
#[derive(Debug, Clone, Copy)]
pub struct SimEndpoint {
    /// The address, with the direction in bit 7.
    pub address: u8,
    /// Bulk or interrupt.
    pub transfer_type: TransferType,
    /// What it does.
    pub behaviour: Behaviour,
    /// The shortest time between two completions; zero for as fast as possible.
    pub pace: Duration,
}

/// A simulated device, before it is plugged in.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name, by which it is found on the other side.
    pub product: String,
    /// How fast it says that it is.
    pub speed: Speed,
    /// Its endpoints, all in one interface, without the control endpoint.
    pub endpoints: Vec<SimEndpoint>,
    /// Transfers complete within the submit where they can, rather than on the thread `sim-usb`.
    pub inline: bool,
}

impl Model {
    /// A device without endpoints.
    pub fn new(product: impl Into<String>) -> Self {
        Self { product: product.into(), speed: Speed::Super, endpoints: Vec::new(), inline: false }
    }

    /// One with all that bulk and interrupt endpoints can do: source and sink on 0x81 and 0x01, loopback on 0x82 and
    /// 0x02, a recorder on 0x03, stuck ones on 0x84 and 0x04, and reports every `reports` on 0x85.
    pub fn everything(product: impl Into<String>, reports: Duration) -> Self {
        use Behaviour::{Loopback, Recorder, Reports, Sink, Source, Stuck};
        let bulk =
            |model: Self, (address, behaviour)| model.with(address, TransferType::Bulk, behaviour, Duration::ZERO);
        [
            (0x81, Source),
            (0x01, Sink),
            (0x82, Loopback),
            (0x02, Loopback),
            (0x03, Recorder),
            (0x84, Stuck),
            (0x04, Stuck),
        ]
        .into_iter()
        .fold(Self::new(product), bulk)
        .with(0x85, TransferType::Interrupt, Reports, reports)
    }

    /// With one more endpoint.
    #[must_use]
    pub fn with(mut self, address: u8, transfer_type: TransferType, behaviour: Behaviour, pace: Duration) -> Self {
        self.endpoints.push(SimEndpoint { address, transfer_type, behaviour, pace });
        self
    }

    /// With transfers that complete within the submit.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    fn is_super(&self) -> bool {
        matches!(self.speed, Speed::Super | Speed::SuperPlus)
    }

    /// The device descriptor and its one configuration.
    pub(super) fn descriptors(&self) -> Bytes {
        let (usb, packet0) = if self.is_super() { (0x0300u16, 9) } else { (0x0200, 64) };
        let mut raw = vec![18, 1];
        raw.extend(usb.to_le_bytes());
        raw.extend([0, 0, 0, packet0]);
        raw.extend(VENDOR.to_le_bytes());
        raw.extend(PRODUCT.to_le_bytes());
        raw.extend([0, 1, 0, 0, 0, 1]);
        let total = 9 + 9 + 7 * self.endpoints.len() as u16;
        raw.extend([9, 2]);
        raw.extend(total.to_le_bytes());
        raw.extend([1, 1, 0, 0x80, 50]);
        raw.extend([9, 4, 0, 0, self.endpoints.len() as u8, VENDOR_SPECIFIC, 0, 0, 0]);
        for endpoint in &self.endpoints {
            let (attributes, max_packet, interval) = match endpoint.transfer_type {
                TransferType::Interrupt => (3, 64u16, 1),
                _ if self.is_super() => (2, 1024, 0),
                _ => (2, 512, 0),
            };
            raw.extend([7, 5, endpoint.address, attributes]);
            raw.extend(max_packet.to_le_bytes());
            raw.push(interval);
        }
        raw.into()
    }

    /// What is known of it without opening it.
    pub(super) fn info(&self, bus_path: BusPath) -> DeviceInfo {
        info(bus_path, DeviceKind::Ordinary, self.product.clone(), self.speed, self.descriptors())
    }
}

/// A device as sysfs would describe it.
pub(crate) fn info(
    bus_path: BusPath,
    kind: DeviceKind,
    product: String,
    speed: Speed,
    descriptors: Bytes,
) -> DeviceInfo {
    let device_number = bus_path.as_str().rsplit(['-', '.']).next().and_then(|port| port.parse().ok()).unwrap_or(1);
    DeviceInfo {
        // A folder that no kernel has.
        sysfs: format!("/sys/devices/simulated/{bus_path}").into(),
        bus_path,
        bus_number: 99,
        device_number,
        vendor_id: VENDOR,
        product_id: PRODUCT,
        class: 0,
        manufacturer: "p2pusb".to_owned(),
        product,
        serial: None,
        speed,
        configuration: Some(1),
        interfaces: vec![InterfaceClass { class: VENDOR_SPECIFIC, subclass: 0, protocol: 0 }],
        descriptors,
        kind,
        properties: BTreeMap::new(),
    }
}

fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The data of a report that is made now.
pub fn report(number: u64) -> Bytes {
    let mut data = Vec::with_capacity(16);
    data.extend(number.to_le_bytes());
    data.extend(nanoseconds().to_le_bytes());
    data.into()
}

/// The number of a report, and how long ago the device made it, on whichever process of this machine.
pub fn report_age(data: &[u8]) -> Option<(u64, Duration)> {
    let (number, made) = data.split_at_checked(8)?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    let made = u64::from_le_bytes(made.try_into().ok()?);
    Some((number, Duration::from_nanos(nanoseconds().saturating_sub(made))))
}
