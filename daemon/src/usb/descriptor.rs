//! The descriptors of a device, as it gave them to the kernel.
//!
//! They come from the device, so anything may be in there. Like the kernel, the parser takes what it understands and
//! skips the rest: a broken descriptor ends its configuration, never the parsing. It allocates no more than a small
//! multiple of what it reads.

use p2pusb_protocol::InterfaceClass;

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;

const DEVICE_LEN: usize = 18;
const CONFIGURATION_LEN: usize = 9;
const INTERFACE_LEN: usize = 9;
const ENDPOINT_LEN: usize = 7;

/// Interface numbers end here, for the kernel and for libusb.
const MAX_INTERFACES: u8 = 32;

/// How many different endpoint addresses there are: sixteen numbers, two directions.
const ENDPOINTS: usize = 32;

/// How an endpoint moves data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferType {
    /// Requests with a setup packet and an optional data stage.
    Control,
    /// A stream at a fixed rate, without repetition of what got lost.
    Isochronous,
    /// Large amounts, whenever there is room on the bus.
    Bulk,
    /// Small amounts, polled at a fixed interval.
    Interrupt,
}

/// Everything that a device says about itself before anybody configures it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Descriptors {
    /// The vendor id.
    pub vendor_id: u16,
    /// The product id.
    pub product_id: u16,
    /// The device's class code; 0 where the interfaces say it.
    pub class: u8,
    /// How many configurations the device says it has. What follows may be fewer.
    pub configuration_count: u8,
    /// The configurations, in the device's order.
    pub configurations: Vec<Configuration>,
    /// What the interfaces of all configurations say they are, each once, those that are left out elsewhere included.
    pub classes: Vec<InterfaceClass>,
}

/// One of the configurations of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What SET_CONFIGURATION takes to choose it.
    pub value: u8,
    /// Its interfaces, an entry for each alternate setting, in the device's order.
    pub interfaces: Vec<Interface>,
}

/// An alternate setting of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's number, below 32.
    pub number: u8,
    /// The alternate setting's number.
    pub alternate: u8,
    /// What the interface is.
    pub class: InterfaceClass,
    /// Its endpoints without the control endpoint, each address once.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its number in bits 0 to 3, and bit 7 for IN.
    pub address: u8,
    /// How it moves data.
    pub transfer_type: TransferType,
    /// The most that one packet carries, in bytes.
    pub max_packet: u16,
}

impl Descriptors {
    /// Reads what sysfs has in a device's `descriptors`: the device descriptor, then each configuration with all that
    /// belongs to it. `None`: it does not begin with a device descriptor.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let (device, mut rest) = raw.split_at_checked(DEVICE_LEN)?;
        if usize::from(device[0]) < DEVICE_LEN || device[1] != DEVICE {
            return None;
        }
        let (mut configurations, mut classes) = (Vec::new(), Vec::new());
        while let Some((configuration, after)) = Configuration::parse(rest) {
            for class in interfaces_of(&rest[..rest.len() - after.len()]) {
                if !classes.contains(&class) {
                    classes.push(class);
                }
            }
            configurations.push(configuration);
            rest = after;
        }
        Some(Self {
            vendor_id: u16::from_le_bytes([device[8], device[9]]),
            product_id: u16::from_le_bytes([device[10], device[11]]),
            class: device[4],
            configuration_count: device[17],
            configurations,
            classes,
        })
    }

    /// The configuration with that value.
    pub fn configuration(&self, value: u8) -> Option<&Configuration> {
        self.configurations.iter().find(|configuration| configuration.value == value)
    }
}

impl Configuration {
    /// Reads one configuration, and says what comes behind it.
    fn parse(raw: &[u8]) -> Option<(Self, &[u8])> {
        let (header, _) = raw.split_at_checked(CONFIGURATION_LEN)?;
        if usize::from(header[0]) < CONFIGURATION_LEN || header[1] != CONFIGURATION {
            return None;
        }
        let total = usize::from(u16::from_le_bytes([header[2], header[3]]));
        // A total that does not even cover its own header would have us read the same bytes again.
        let (whole, after) = raw.split_at(total.max(CONFIGURATION_LEN).min(raw.len()));
        let mut interfaces: Vec<Interface> = Vec::new();
        // Endpoints of an interface that is left out are left out with it.
        let mut collecting = false;
        for descriptor in walk(whole) {
            match descriptor[1] {
                INTERFACE => {
                    let interface = Interface::parse(descriptor);
                    let new = interface.filter(|new| {
                        !interfaces.iter().any(|old| (old.number, old.alternate) == (new.number, new.alternate))
                    });
                    collecting = new.is_some();
                    interfaces.extend(new);
                }
                ENDPOINT if collecting => {
                    if let (Some(interface), Some(endpoint)) = (interfaces.last_mut(), Endpoint::parse(descriptor))
                        && !interface.endpoints.iter().any(|old| old.address == endpoint.address)
                    {
                        interface.endpoints.push(endpoint);
                    }
                }
                _ => {}
            }
        }
        Some((Self { value: header[5], interfaces }, after))
    }

    /// The numbers of its interfaces, each once, in ascending order.
    pub fn interface_numbers(&self) -> Vec<u8> {
        let mut numbers: Vec<u8> = self.interfaces.iter().map(|interface| interface.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

impl Interface {
    fn parse(descriptor: &[u8]) -> Option<Self> {
        if descriptor.len() < INTERFACE_LEN || descriptor[2] >= MAX_INTERFACES {
            return None;
        }
        let class = class_of(descriptor);
        Some(Self { number: descriptor[2], alternate: descriptor[3], class, endpoints: Vec::new() })
    }
}

impl Endpoint {
    fn parse(descriptor: &[u8]) -> Option<Self> {
        if descriptor.len() < ENDPOINT_LEN {
            return None;
        }
        let address = descriptor[2] & 0x8f;
        if address & 0x0f == 0 {
            return None;
        }
        let transfer_type = match descriptor[3] & 0x03 {
            0 => TransferType::Control,
            1 => TransferType::Isochronous,
            2 => TransferType::Bulk,
            _ => TransferType::Interrupt,
        };
        // The bits above say how many packets there are in a microframe.
        let max_packet = u16::from_le_bytes([descriptor[4], descriptor[5]]) & 0x07ff;
        Some(Self { address, transfer_type, max_packet })
    }
}

/// What every interface descriptor in a configuration says it is. Unlike [`Configuration`], this leaves out nothing in which
/// a kernel might see an interface (usb_parse_configuration in drivers/usb/core/config.c): it is for rules.
pub(crate) fn interfaces_of(configuration: &[u8]) -> impl Iterator<Item = InterfaceClass> {
    walk(configuration)
        .filter(|descriptor| descriptor[1] == INTERFACE && descriptor.len() >= INTERFACE_LEN)
        .map(class_of)
}

fn class_of(interface: &[u8]) -> InterfaceClass {
    InterfaceClass { class: interface[5], subclass: interface[6], protocol: interface[7] }
}

/// The descriptors of a configuration one after the other, each at least two bytes long, up to the first broken one.
fn walk(mut raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = usize::from(*raw.first()?);
        if len < 2 {
            return None;
        }
        let (descriptor, rest) = raw.split_at_checked(len)?;
        raw = rest;
        Some(descriptor)
    })
}

/// The endpoints that are there in the present configuration and alternate settings, for look-up by address.
#[derive(Debug, Clone)]
pub(super) struct EndpointMap([Option<Endpoint>; ENDPOINTS]);

impl EndpointMap {
    /// The endpoints of a configuration in which `alternate` says the setting of each interface; with `None`, those of
    /// a device without configuration, which has the control endpoint only.
    pub(super) fn new(configuration: Option<&Configuration>, alternate: impl Fn(u8) -> u8) -> Self {
        let mut map = Self([None; ENDPOINTS]);
        let interfaces = configuration.map_or(&[][..], |configuration| &configuration.interfaces);
        for interface in interfaces.iter().filter(|interface| interface.alternate == alternate(interface.number)) {
            for endpoint in &interface.endpoints {
                map.0[index(endpoint.address)] = Some(*endpoint);
            }
        }
        // The kernel splits control transfers by itself, so its packet size is nobody's business here.
        for address in [0x00, 0x80] {
            map.0[index(address)] = Some(Endpoint { address, transfer_type: TransferType::Control, max_packet: 0 });
        }
        map
    }

    /// The endpoint with that address.
    pub(super) fn get(&self, address: u8) -> Option<Endpoint> {
        // Bits 4 to 6 are none of an address; with them it names nothing.
        if address & 0x70 != 0 {
            return None;
        }
        self.0[index(address)]
    }
}

/// A set of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct EndpointSet(u32);

impl EndpointSet {
    /// All there can be.
    pub(super) fn all() -> Self {
        Self(u32::MAX)
    }

    /// Every endpoint that an interface has in one of its alternate settings.
    pub(super) fn of_interface(configuration: &Configuration, number: u8) -> Self {
        let interfaces = configuration.interfaces.iter().filter(|interface| interface.number == number);
        Self(interfaces.flat_map(|interface| &interface.endpoints).fold(0, |set, endpoint| set | bit(endpoint.address)))
    }

    pub(super) fn contains(self, address: u8) -> bool {
        self.0 & bit(address) != 0
    }
}

fn index(address: u8) -> usize {
    usize::from(address & 0x0f) | usize::from(address & 0x80) >> 3
}

fn bit(address: u8) -> u32 {
    1 << index(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usb::descriptor_check::check;

    /// A disk with a bulk-only and a UAS alternate setting, and a keyboard, in two configurations.
    fn composite() -> Vec<u8> {
        let mut raw = vec![18, 1, 0, 2, 0, 0, 0, 64, 0x25, 0x05, 0xa5, 0xa4, 0, 1, 1, 2, 3, 2];
        let first: &[&[u8]] = &[
            &[9, 4, 0, 0, 2, 8, 6, 0x50, 0],
            &[7, 5, 0x81, 2, 0, 2, 0],
            &[7, 5, 0x02, 2, 0, 2, 0],
            &[9, 4, 0, 1, 4, 8, 6, 0x62, 0],
            &[7, 5, 0x81, 2, 0, 2, 0],
            &[4, 0x24, 1, 0], // a pipe usage descriptor
            &[7, 5, 0x02, 2, 0, 2, 0],
            &[7, 5, 0x83, 2, 0, 2, 0],
            &[7, 5, 0x04, 2, 0, 2, 0],
            &[9, 4, 1, 0, 1, 3, 1, 1, 0],
            &[9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0],
            &[7, 5, 0x85, 3, 8, 0, 4],
        ];
        let second: &[&[u8]] = &[&[9, 4, 0, 0, 1, 255, 0, 0, 0], &[7, 5, 0x86, 1, 0, 0x14, 1]];
        for (value, parts) in [(1, first), (2, second)] {
            let total = 9 + parts.iter().map(|part| part.len()).sum::<usize>();
            raw.extend_from_slice(&[9, 2, total as u8, 0, 2, value, 0, 0x80, 50]);
            raw.extend(parts.concat());
        }
        raw
    }

    #[test]
    fn a_composite_device_is_read() {
        let descriptors = Descriptors::parse(&composite()).unwrap();
        assert_eq!((descriptors.vendor_id, descriptors.product_id), (0x0525, 0xa4a5));
        assert_eq!(descriptors.configuration_count, 2);
        let values: Vec<u8> = descriptors.configurations.iter().map(|configuration| configuration.value).collect();
        assert_eq!(values, [1, 2]);
        let first = descriptors.configuration(1).unwrap();
        assert_eq!(first.interface_numbers(), [0, 1]);
        let classes: Vec<_> = descriptors.classes.iter().map(|class| (class.class, class.protocol)).collect();
        assert_eq!(classes, [(8, 0x50), (8, 0x62), (3, 1), (255, 0)]);
        let endpoint = descriptors.configuration(2).unwrap().interfaces[0].endpoints[0];
        let expected = Endpoint { address: 0x86, transfer_type: TransferType::Isochronous, max_packet: 0x400 };
        assert_eq!(endpoint, expected);
    }

    #[test]
    fn the_endpoints_are_those_of_the_present_alternate_settings() {
        let descriptors = Descriptors::parse(&composite()).unwrap();
        let first = descriptors.configuration(1);
        let addresses =
            |map: &EndpointMap| -> Vec<u8> { (0..=255).filter(|&address| map.get(address).is_some()).collect() };
        let bulk_only = EndpointMap::new(first, |_| 0);
        assert_eq!(addresses(&bulk_only), [0x00, 0x02, 0x80, 0x81, 0x85]);
        let uas = EndpointMap::new(first, |interface| u8::from(interface == 0));
        assert_eq!(addresses(&uas), [0x00, 0x02, 0x04, 0x80, 0x81, 0x83, 0x85]);
        assert_eq!(addresses(&EndpointMap::new(None, |_| 0)), [0x00, 0x80]);
        let types = [0x00, 0x81, 0x85].map(|address| bulk_only.get(address).unwrap().transfer_type);
        assert_eq!(types, [TransferType::Control, TransferType::Bulk, TransferType::Interrupt]);
    }

    #[test]
    fn an_interface_is_held_with_the_endpoints_of_all_its_settings() {
        let descriptors = Descriptors::parse(&composite()).unwrap();
        let set = EndpointSet::of_interface(descriptors.configuration(1).unwrap(), 0);
        let held: Vec<u8> = [0x00, 0x80, 0x81, 0x01, 0x02, 0x83, 0x04, 0x85]
            .into_iter()
            .filter(|&address| set.contains(address))
            .collect();
        assert_eq!(held, [0x81, 0x02, 0x83, 0x04]);
        assert!((0..16).chain(128..144).all(|address| EndpointSet::all().contains(address)));
    }

    #[test]
    fn what_is_broken_is_left_out() {
        assert_eq!(Descriptors::parse(&[]), None);
        assert_eq!(Descriptors::parse(&[18, 1]), None);
        assert_eq!(Descriptors::parse(&[0; 64]), None);
        // A descriptor of length zero ends the first configuration, not the second.
        let mut raw = composite();
        raw[DEVICE_LEN + 9 + 9] = 0;
        let descriptors = Descriptors::parse(&raw).unwrap();
        assert_eq!(descriptors.configuration(1).unwrap().interfaces.len(), 1);
        assert!(descriptors.configuration(1).unwrap().interfaces[0].endpoints.is_empty());
        assert_eq!(descriptors.configuration(2).unwrap().interfaces.len(), 1);
        // A configuration that says it is empty, and one that says it is longer than the rest.
        for total in [0, 0xff] {
            let mut raw = composite();
            raw[DEVICE_LEN + 2] = total;
            assert!(!Descriptors::parse(&raw).unwrap().configurations.is_empty());
        }
        // An interface number that the kernel does not take: the endpoints behind it don't go to the one before.
        let mut raw = composite();
        let at = raw.windows(4).position(|bytes| bytes == [9, 4, 1, 0]).unwrap();
        raw[at + 2] = 32;
        let first = Descriptors::parse(&raw).unwrap().configurations.remove(0);
        assert_eq!(first.interface_numbers(), [0]);
        assert!(first.interfaces.iter().all(|interface| interface.endpoints.iter().all(|e| e.address != 0x85)));
    }

    proptest! {
        #[test]
        fn random_bytes_are_survived(raw: Vec<u8>) {
            check(&raw);
        }

        #[test]
        fn random_bytes_behind_a_device_descriptor_are_survived(rest: Vec<u8>) {
            let mut raw = composite()[..DEVICE_LEN].to_vec();
            raw.extend(rest);
            check(&raw);
        }

        #[test]
        fn damaged_descriptors_are_survived(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
            end: prop::sample::Index,
        ) {
            let mut raw = composite();
            for (at, byte) in damage {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
            raw.truncate(end.index(raw.len() + 1));
            check(&raw);
        }

        #[test]
        fn random_sequences_of_descriptors_are_survived(
            parts in prop::collection::vec((0_u8..10, 0_u8..12, prop::collection::vec(any::<u8>(), 0..10)), 0..40),
        ) {
            let mut raw = composite()[..DEVICE_LEN].to_vec();
            for (kind, len, bytes) in parts {
                raw.extend([len, kind]);
                raw.extend(bytes);
            }
            check(&raw);
        }
    }
}
