//! Control requests that change what the kernel knows of a device.
//!
//! Sent as plain control transfers they would reach the device behind the kernel's back: its idea of the configuration,
//! the alternate settings and the data toggles would no longer be the device's. The kernel's own `usbip-host` singles
//! out the same ones.

/// A control request that has a call of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialRequest {
    /// SET_CONFIGURATION: [`OpenDevice::set_configuration`](super::OpenDevice::set_configuration).
    SetConfiguration(u8),
    /// SET_INTERFACE: [`OpenDevice::set_interface`](super::OpenDevice::set_interface).
    SetInterface {
        /// The interface's number.
        interface: u8,
        /// The number of the alternate setting.
        alternate: u8,
    },
    /// CLEAR_FEATURE(ENDPOINT_HALT): [`OpenDevice::clear_halt`](super::OpenDevice::clear_halt).
    ClearHalt {
        /// The endpoint's address.
        endpoint: u8,
    },
    /// SET_FEATURE(PORT_RESET), which only hubs understand and hubs are not shared. `usbip-host` takes it as the wish to
    /// have the device itself reset: [`OpenDevice::reset`](super::OpenDevice::reset).
    Reset,
    /// SET_ADDRESS, or one of the above with parameters that no host sends. It must not reach the device; a stall
    /// answers it.
    Refuse,
}

const TO_DEVICE: u8 = 0x00;
const TO_INTERFACE: u8 = 0x01;
const TO_ENDPOINT: u8 = 0x02;
const TO_PORT: u8 = 0x23;

const CLEAR_FEATURE: u8 = 0x01;
const SET_FEATURE: u8 = 0x03;
const SET_ADDRESS: u8 = 0x05;
const SET_CONFIGURATION: u8 = 0x09;
const SET_INTERFACE: u8 = 0x0b;

const ENDPOINT_HALT: u16 = 0;
const PORT_RESET: u16 = 4;

/// What a control request asks of the host rather than of the device; `None` for those that are sent as they are.
pub fn special_request(setup: &[u8; 8]) -> Option<SpecialRequest> {
    let [request_type, request, ..] = *setup;
    let value = u16::from_le_bytes([setup[2], setup[3]]);
    let index = u16::from_le_bytes([setup[4], setup[5]]);
    let small = |number: u16| u8::try_from(number).ok();
    let special = match (request_type, request) {
        (TO_DEVICE, SET_ADDRESS) => None,
        (TO_DEVICE, SET_CONFIGURATION) => small(value).map(SpecialRequest::SetConfiguration),
        (TO_INTERFACE, SET_INTERFACE) => small(index)
            .zip(small(value))
            .map(|(interface, alternate)| SpecialRequest::SetInterface { interface, alternate }),
        // The control endpoint has no toggle that could get lost.
        (TO_ENDPOINT, CLEAR_FEATURE) if value == ENDPOINT_HALT && index & 0x0f != 0 => {
            small(index).map(|endpoint| SpecialRequest::ClearHalt { endpoint })
        }
        (TO_PORT, SET_FEATURE) if value == PORT_RESET => Some(SpecialRequest::Reset),
        _ => return None,
    };
    Some(special.unwrap_or(SpecialRequest::Refuse))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_has_its_call() {
        let cases = [
            ([0x00, 0x09, 1, 0, 0, 0, 0, 0], SpecialRequest::SetConfiguration(1)),
            ([0x00, 0x09, 0, 0, 0, 0, 0, 0], SpecialRequest::SetConfiguration(0)),
            ([0x01, 0x0b, 2, 0, 3, 0, 0, 0], SpecialRequest::SetInterface { interface: 3, alternate: 2 }),
            ([0x02, 0x01, 0, 0, 0x81, 0, 0, 0], SpecialRequest::ClearHalt { endpoint: 0x81 }),
            ([0x02, 0x01, 0, 0, 0x02, 0, 0, 0], SpecialRequest::ClearHalt { endpoint: 0x02 }),
            ([0x23, 0x03, 4, 0, 1, 0, 0, 0], SpecialRequest::Reset),
            ([0x00, 0x05, 7, 0, 0, 0, 0, 0], SpecialRequest::Refuse),
            ([0x00, 0x09, 1, 1, 0, 0, 0, 0], SpecialRequest::Refuse),
            ([0x01, 0x0b, 0, 1, 0, 0, 0, 0], SpecialRequest::Refuse),
            ([0x02, 0x01, 0, 0, 0x81, 1, 0, 0], SpecialRequest::Refuse),
        ];
        for (setup, expected) in cases {
            assert_eq!(special_request(&setup), Some(expected), "{setup:02x?}");
        }
    }

    #[test]
    fn the_rest_goes_to_the_device() {
        let cases = [
            [0x80, 0x06, 0, 1, 0, 0, 18, 0],   // GET_DESCRIPTOR
            [0x80, 0x08, 0, 0, 0, 0, 1, 0],    // GET_CONFIGURATION
            [0x81, 0x0a, 0, 0, 0, 0, 1, 0],    // GET_INTERFACE
            [0x02, 0x03, 0, 0, 0x81, 0, 0, 0], // SET_FEATURE(ENDPOINT_HALT)
            [0x02, 0x01, 0, 0, 0x00, 0, 0, 0], // CLEAR_FEATURE(ENDPOINT_HALT) of the control endpoint
            [0x02, 0x01, 0, 0, 0x80, 0, 0, 0],
            [0x02, 0x01, 1, 0, 0x81, 0, 0, 0], // another feature
            [0x00, 0x01, 1, 0, 0, 0, 0, 0],    // CLEAR_FEATURE(DEVICE_REMOTE_WAKEUP)
            [0x21, 0x09, 0, 2, 0, 0, 1, 0],    // HID SET_REPORT, whose number is SET_CONFIGURATION's
            [0xa1, 0xfe, 0, 0, 0, 0, 1, 0],    // GET_MAX_LUN
            [0x23, 0x03, 8, 0, 1, 0, 0, 0],    // PORT_POWER
        ];
        for setup in cases {
            assert_eq!(special_request(&setup), None, "{setup:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_standard_state_change_slips_through(
            request_type in 0_u8..3,
            request in prop::sample::select(vec![SET_ADDRESS, SET_CONFIGURATION, SET_INTERFACE]),
            rest: [u8; 6],
        ) {
            let recipient = match request { SET_INTERFACE => TO_INTERFACE, _ => TO_DEVICE };
            let setup = [request_type, request, rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]];
            prop_assert_eq!(special_request(&setup).is_some(), request_type == recipient);
        }
    }
}
