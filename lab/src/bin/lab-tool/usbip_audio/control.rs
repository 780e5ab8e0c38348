//! The device's answers on endpoint 0.

use super::descriptors;
use super::frames::Speed;

const GET_STATUS: u8 = 0;
const CLEAR_FEATURE: u8 = 1;
const GET_DESCRIPTOR: u8 = 6;
const GET_CONFIGURATION: u8 = 8;
const SET_CONFIGURATION: u8 = 9;
const GET_INTERFACE: u8 = 10;
const SET_INTERFACE: u8 = 11;

/// The bits of a request's type that say that it is a standard one.
const KIND: u8 = 0x60;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Data for the host, empty for a request that has none.
    Done(Vec<u8>),
    /// An interface got this alternate setting.
    Alternate { interface: u16, alternate: u8 },
    /// All interfaces are in alternate setting 0.
    Configured,
    /// The device knows no such request.
    Stall,
}

/// The part of the device that answers.
#[derive(Debug)]
pub(super) struct Control {
    speed: Speed,
    name: String,
    configuration: u8,
    alternates: [u8; 3],
}

impl Control {
    pub(super) fn new(speed: Speed, name: &str) -> Self {
        Self { speed, name: name.to_owned(), configuration: 0, alternates: [0; 3] }
    }

    pub(super) fn answer(&mut self, setup: [u8; 8]) -> Answer {
        let [kind, request, value, value_high, index, index_high, length, length_high] = setup;
        let interface = u16::from_le_bytes([index, index_high]);
        let length = usize::from(u16::from_le_bytes([length, length_high]));
        if kind & KIND != 0 {
            return Answer::Stall;
        }
        let mut data = match request {
            GET_DESCRIPTOR => match descriptors::get(value_high, value, self.speed, &self.name) {
                Some(descriptor) => descriptor,
                None => return Answer::Stall,
            },
            GET_STATUS => vec![0, 0],
            CLEAR_FEATURE => Vec::new(),
            GET_CONFIGURATION => vec![self.configuration],
            SET_CONFIGURATION if value <= 1 => {
                (self.configuration, self.alternates) = (value, [0; 3]);
                return Answer::Configured;
            }
            GET_INTERFACE | SET_INTERFACE => match self.alternates.get_mut(usize::from(interface)) {
                Some(alternate) if request == GET_INTERFACE => vec![*alternate],
                Some(alternate) if value <= u8::from(interface > 0) => {
                    *alternate = value;
                    return Answer::Alternate { interface, alternate: value };
                }
                _ => return Answer::Stall,
            },
            _ => return Answer::Stall,
        };
        data.truncate(length);
        Answer::Done(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_or_stalled() {
        let mut control = Control::new(Speed::Full, "audio");
        let Answer::Done(device) = control.answer([0x80, 6, 0, 1, 0, 0, 8, 0]) else { panic!("no descriptor") };
        assert_eq!(device, [18, 1, 0, 1, 0, 0, 0, 64]);
        assert_eq!(control.answer([0x80, 6, 0, 6, 0, 0, 10, 0]), Answer::Stall);
        assert_eq!(control.answer([0, 9, 1, 0, 0, 0, 0, 0]), Answer::Configured);
        assert_eq!(control.answer([1, 11, 1, 0, 2, 0, 0, 0]), Answer::Alternate { interface: 2, alternate: 1 });
        assert_eq!(control.answer([0x81, 10, 0, 0, 2, 0, 1, 0]), Answer::Done(vec![1]));
        assert_eq!(control.answer([1, 11, 1, 0, 0, 0, 0, 0]), Answer::Stall);
        assert_eq!(control.answer([0xa2, 0x81, 0, 1, 1, 0, 3, 0]), Answer::Stall);
    }
}
