//! A device that lies about itself, each time in another way: it answers what a host asks when it is plugged in, and
//! nothing more. Its endpoints take no data and have none.

mod lies;

use std::error::Error;
use std::io;

use self::lies::Lie;
use crate::raw_gadget::Gadget;

const GET_STATUS: u8 = 0;
const GET_DESCRIPTOR: u8 = 6;
const GET_CONFIGURATION: u8 = 8;
const SET_CONFIGURATION: u8 = 9;

/// The bit of a request's type that says that the device sends data, and those that say that it is a standard one.
const IN: u8 = 0x80;
const KIND: u8 = 0x60;

const DEVICE: u8 = 1;
const CONFIGURATION: u8 = 2;
const STRING: u8 = 3;
const REPORT: u8 = 0x22;

/// The length of a configuration's header, which a host asks for to learn how much more there is.
const HEADER: u16 = 9;

/// Plugs the device into a socket (`dummy_udc.0`); it stays until this program is killed.
pub(crate) fn run(socket: &str, lie: &str) -> Result<(), Box<dyn Error>> {
    let lie = Lie::from_name(lie).ok_or_else(|| format!("the lie is one of {}", lies::NAMES.join(" ")))?;
    let gadget = Gadget::plug(socket)?;
    let mut device = Device { gadget, lie, told: 0, configuration: 0, enabled: false };
    loop {
        let setup = device.gadget.control()?;
        // A host that has reset the device, or lost patience, does not want the answer any more.
        if let Err(error) = device.answer(setup) {
            eprintln!("{setup:02x?}: {error}");
        }
    }
}

struct Device {
    gadget: Gadget,
    lie: Lie,
    /// How often it has told its whole configuration.
    told: usize,
    configuration: u8,
    enabled: bool,
}

impl Device {
    fn answer(&mut self, setup: [u8; 8]) -> io::Result<()> {
        let [kind, request, index, what, _, _, low, high] = setup;
        let length = u16::from_le_bytes([low, high]);
        if kind & IN == 0 {
            if kind & KIND == 0 && request == SET_CONFIGURATION {
                self.configure(index)?;
            }
            return self.gadget.acknowledge(length);
        }
        let data = match (kind & KIND, request) {
            (0, GET_DESCRIPTOR) => self.descriptor(what, index, length),
            (0, GET_STATUS) => Some(vec![0, 0]),
            (0, GET_CONFIGURATION) => Some(vec![self.configuration]),
            _ => None,
        };
        match data {
            Some(data) => self.gadget.answer(&data, length),
            None => self.gadget.stall(),
        }
    }

    fn descriptor(&mut self, what: u8, index: u8, length: u16) -> Option<Vec<u8>> {
        match (what, index) {
            (DEVICE, 0) => Some(self.lie.device()),
            (CONFIGURATION, 0) => {
                let told = self.told;
                self.told += usize::from(length > HEADER);
                Some(self.lie.configuration(told, length > HEADER))
            }
            (STRING, _) => self.lie.string(index),
            (REPORT, 0) => Some(lies::KEYS.to_vec()),
            _ => None,
        }
    }

    fn configure(&mut self, value: u8) -> io::Result<()> {
        self.configuration = value;
        if !self.enabled {
            self.enabled = true;
            for endpoint in lies::ENDPOINTS {
                self.gadget.enable(endpoint)?;
            }
        }
        self.gadget.configured()
    }
}
