//! Devices whose descriptors lie: each field that counts or measures something says something else than what follows.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    descriptor::{Configuration, Descriptors, EndpointMap, EndpointSet, TransferType},
    descriptor_check::check,
};

fn device(configurations: u8) -> Vec<u8> {
    vec![18, 1, 0, 2, 0, 0, 0, 64, 0x25, 0x05, 0xa5, 0xa4, 0, 1, 1, 2, 3, configurations]
}

/// A configuration that says it is `total` bytes long.
fn configuration(value: u8, total: u16, parts: &[u8]) -> Vec<u8> {
    let [low, high] = total.to_le_bytes();
    [&[9, 2, low, high, 1, value, 0, 0x80, 50], parts].concat()
}

/// One that says how long it is.
fn honest(value: u8, parts: &[u8]) -> Vec<u8> {
    configuration(value, 9 + parts.len() as u16, parts)
}

fn interface(number: u8, alternate: u8, endpoints: u8) -> [u8; 9] {
    [9, 4, number, alternate, endpoints, 0xff, 0, 0, 0]
}

fn endpoint(address: u8, attributes: u8, max_packet: u16) -> [u8; 7] {
    let [low, high] = max_packet.to_le_bytes();
    [7, 5, address, attributes, low, high, 1]
}

fn parse(parts: &[&[u8]]) -> Descriptors {
    let raw = parts.concat();
    check(&raw);
    Descriptors::parse(&raw).unwrap()
}

fn only(descriptors: &Descriptors) -> &Configuration {
    assert_eq!(descriptors.configurations.len(), 1);
    &descriptors.configurations[0]
}

#[test]
fn a_total_beyond_the_end_is_cut_off_there() {
    let parts = [&interface(0, 0, 1)[..], &endpoint(0x81, 2, 512)].concat();
    let descriptors = parse(&[&device(1), &configuration(1, u16::MAX, &parts)]);
    assert_eq!(only(&descriptors).interfaces[0].endpoints.len(), 1);
    // The next configuration is part of the first one, then, where a second configuration descriptor means nothing; its
    // interface has the number of one that is there.
    let second = honest(2, &[&interface(0, 0, 1)[..], &endpoint(0x82, 2, 512)].concat());
    let descriptors = parse(&[&device(2), &configuration(1, u16::MAX, &parts), &second]);
    let addresses: Vec<u8> = only(&descriptors).interfaces[0].endpoints.iter().map(|one| one.address).collect();
    assert_eq!((descriptors.configuration_count, addresses), (2, vec![0x81]));
}

#[test]
fn a_total_below_the_truth_ends_the_configuration_there() {
    let parts = [&interface(0, 0, 2)[..], &endpoint(0x81, 2, 512), &endpoint(0x02, 2, 512)].concat();
    // In the middle of the second endpoint, and in the middle of the header.
    for (total, interfaces) in [(9 + 9 + 7 + 3, 1), (4, 0), (0, 0)] {
        let descriptors = parse(&[&device(1), &configuration(1, total, &parts)]);
        assert_eq!(only(&descriptors).interfaces.len(), interfaces);
        assert!(only(&descriptors).interfaces.iter().all(|interface| interface.endpoints.len() == 1));
    }
}

#[test]
fn configurations_in_each_other_are_one() {
    let inner = honest(2, &[&interface(1, 0, 1)[..], &endpoint(0x82, 3, 8)].concat());
    let outer = honest(1, &[&interface(0, 0, 1)[..], &inner, &endpoint(0x81, 2, 512)].concat());
    let descriptors = parse(&[&device(2), &outer]);
    assert_eq!(only(&descriptors).interface_numbers(), [0, 1]);
    assert!(descriptors.configuration(2).is_none());
}

#[test]
fn of_two_configurations_with_one_value_the_first_is_meant() {
    let (first, second) = (honest(1, &interface(0, 0, 0)), honest(1, &interface(7, 0, 0)));
    let descriptors = parse(&[&device(1), &first, &second]);
    assert_eq!(descriptors.configurations.len(), 2);
    assert_eq!(descriptors.configuration(1).unwrap().interface_numbers(), [0]);
}

#[test]
fn the_number_of_endpoints_is_what_is_there() {
    for said in [0, 1, 30, 255] {
        let parts = [&interface(0, 0, said)[..], &endpoint(0x81, 2, 512), &endpoint(0x02, 2, 512)].concat();
        let descriptors = parse(&[&device(1), &honest(1, &parts)]);
        assert_eq!(only(&descriptors).interfaces[0].endpoints.len(), 2, "{said} are said to be there");
    }
}

#[test]
fn an_endpoint_that_is_there_twice_counts_once() {
    let twice = [&endpoint(0x81, 2, 512)[..], &endpoint(0x81, 1, 1024)].concat();
    let parts = [&interface(0, 0, 2)[..], &twice, &interface(0, 0, 2), &endpoint(0x03, 2, 512)].concat();
    let descriptors = parse(&[&device(1), &honest(1, &parts)]);
    // The alternate setting that is there twice counts once, too, with its endpoints.
    let interfaces = &only(&descriptors).interfaces;
    assert_eq!((interfaces.len(), interfaces[0].endpoints.len()), (1, 1));
    assert_eq!(interfaces[0].endpoints[0].transfer_type, TransferType::Bulk);
}

#[test]
fn two_interfaces_with_the_same_endpoint_hold_it_both() {
    let one = |number| [&interface(number, 0, 1)[..], &endpoint(0x81, 2 + number, 512)].concat();
    let descriptors = parse(&[&device(1), &honest(1, &[one(0), one(1)].concat())]);
    let configuration = only(&descriptors);
    assert!((0..2).all(|number| EndpointSet::of_interface(configuration, number).contains(0x81)));
    assert!(EndpointMap::new(Some(configuration), |_| 0).get(0x81).is_some());
}

#[test]
fn of_255_interfaces_those_with_a_number_that_can_be_are_taken() {
    let parts: Vec<u8> =
        (0..=254).flat_map(|number| [&interface(number, 0, 1)[..], &endpoint(0x81, 2, 8)].concat()).collect();
    let descriptors = parse(&[&device(1), &honest(1, &parts)]);
    assert_eq!(only(&descriptors).interface_numbers(), (0..32).collect::<Vec<u8>>());
    // And each with all its alternate settings.
    let parts: Vec<u8> = (0..=255).flat_map(|alternate| interface(31, alternate, 0)).collect();
    let descriptors = parse(&[&device(1), &honest(1, &parts)]);
    assert_eq!(only(&descriptors).interfaces.len(), 256);
}

#[test]
fn the_packet_size_is_in_eleven_bits() {
    for (said, taken) in [(0, 0), (1, 1), (0x07ff, 0x07ff), (0x0800, 0), (0x1400, 0x400), (u16::MAX, 0x07ff)] {
        let parts = [&interface(0, 0, 1)[..], &endpoint(0x81, 1, said)].concat();
        let descriptors = parse(&[&device(1), &honest(1, &parts)]);
        assert_eq!(only(&descriptors).interfaces[0].endpoints[0].max_packet, taken, "{said:#06x}");
    }
}

#[test]
fn an_address_that_names_no_endpoint_is_left_out() {
    let addresses: Vec<u8> = (0..=255).flat_map(|address| endpoint(address, 2, 512)).collect();
    let descriptors = parse(&[&device(1), &honest(1, &[&interface(0, 0, 255)[..], &addresses].concat())]);
    let endpoints = &only(&descriptors).interfaces[0].endpoints;
    assert_eq!(endpoints.len(), 30);
    let map = EndpointMap::new(Some(only(&descriptors)), |_| 0);
    assert!((0..16).chain(0x80..0x90).all(|address| map.get(address).is_some()));
    assert!((0x10..0x80).chain(0x90..=0xff).all(|address| map.get(address).is_none()));
}

/// A descriptor that looks right, with numbers that need not be.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let extreme = || select(vec![0, 1, 8, 64, 512, 1023, 1024, 0x0bff, 0x1400, 0x1fff, u16::MAX]);
    prop_oneof![
        4 => (0..40_u8, 0..4_u8, any::<u8>()).prop_map(|(number, alternate, count)| interface(number, alternate, count).to_vec()),
        6 => (any::<u8>(), any::<u8>(), extreme()).prop_map(|(address, kind, size)| endpoint(address, kind, size).to_vec()),
        1 => vec(any::<u8>(), 0..6).prop_map(|bytes| [&[2 + bytes.len() as u8, 0x24][..], &bytes].concat()),
    ]
}

/// A configuration that may hold another one, and says any length.
fn whole() -> impl Strategy<Value = Vec<u8>> {
    let plain = (any::<u8>(), vec(part(), 0..12)).prop_map(|(value, parts)| honest(value, &parts.concat()));
    plain.prop_recursive(3, 24, 3, |inner| {
        let total = prop_oneof![any::<u16>(), 0..64_u16];
        (any::<u8>(), total, vec(prop_oneof![part(), inner], 0..6))
            .prop_map(|(value, total, parts)| configuration(value, total, &parts.concat()))
    })
}

proptest! {
    #[test]
    fn lies_of_all_kinds_are_survived(count: u8, configurations in vec(whole(), 0..4)) {
        check(&[device(count), configurations.concat()].concat());
    }
}
