//! Reads bytes from anywhere as descriptors, and checks what must hold for any bytes at all.
//!
//! The fuzz target and the daemon's tests include this file beside the parser.

use super::descriptor::{Configuration, Descriptors, EndpointMap, EndpointSet, Interface};

const DEVICE_LEN: usize = 18;
const CONFIGURATION_LEN: usize = 9;
const INTERFACE_LEN: usize = 9;
const ENDPOINT_LEN: usize = 7;

pub(super) fn check(raw: &[u8]) {
    let Some(descriptors) = Descriptors::parse(raw) else { return };
    let lengths = descriptors.configurations.iter().map(check_configuration);
    let mut interfaces = descriptors.configurations.iter().flat_map(|configuration| &configuration.interfaces);
    assert!(interfaces.all(|interface| descriptors.classes.contains(&interface.class)));
    // Nothing was made out of thin air, and nothing was read twice.
    assert!(DEVICE_LEN + lengths.sum::<usize>() <= raw.len());
}

/// Says how many bytes it must have been made of.
fn check_configuration(configuration: &Configuration) -> usize {
    let numbers = configuration.interface_numbers();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|&number| number < 32));
    let mut len = CONFIGURATION_LEN;
    for (at, interface) in configuration.interfaces.iter().enumerate() {
        len += INTERFACE_LEN + interface.endpoints.len() * ENDPOINT_LEN;
        assert!(numbers.contains(&interface.number));
        let same = |other: &&Interface| (other.number, other.alternate) == (interface.number, interface.alternate);
        assert_eq!(configuration.interfaces[at..].iter().filter(same).count(), 1);
        let held = EndpointSet::of_interface(configuration, interface.number);
        for (at, endpoint) in interface.endpoints.iter().enumerate() {
            assert!(endpoint.address & 0x70 == 0 && endpoint.address & 0x0f != 0 && endpoint.max_packet <= 0x7ff);
            assert!(interface.endpoints[..at].iter().all(|other| other.address != endpoint.address));
            assert!(held.contains(endpoint.address));
        }
    }
    let last = configuration.interfaces.last().map_or(0, |interface| interface.alternate);
    for alternate in [0, 1, last] {
        check_map(configuration, alternate);
    }
    len
}

/// What is looked up by address is what is there in these settings.
fn check_map(configuration: &Configuration, alternate: u8) {
    let mut there = [false; 256];
    (there[0x00], there[0x80]) = (true, true);
    for interface in configuration.interfaces.iter().filter(|interface| interface.alternate == alternate) {
        for endpoint in &interface.endpoints {
            there[usize::from(endpoint.address)] = true;
        }
    }
    let map = EndpointMap::new(Some(configuration), |_| alternate);
    for address in 0..=u8::MAX {
        let found = map.get(address).map(|endpoint| endpoint.address);
        assert_eq!(found, there[usize::from(address)].then_some(address));
    }
}

#[cfg(test)]
#[test]
fn what_the_fuzzer_has_found_is_survived() {
    crate::fuzz_seeds::each("descriptors", check);
}
