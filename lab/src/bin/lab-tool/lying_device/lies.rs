//! What the device says of itself: in truth it is one interface with a bulk endpoint in each direction.

/// What the device lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing: with the truth it is a device like any other.
    Nothing,
    /// The configuration is longer than what comes.
    TotalOver,
    /// The configuration ends before its endpoints.
    TotalUnder,
    /// The configuration is far longer once it is told as a whole.
    TotalGrows,
    /// 30 endpoints, of which two come.
    Endpoints,
    /// 32 interfaces, of which one comes.
    Interfaces,
    /// The only interface has the number 200.
    Number,
    /// Two interfaces with the same endpoints, of which one comes twice.
    Duplicate,
    /// A descriptor of length 0 in the middle.
    Zero,
    /// Packets of 65535 bytes.
    PacketSize,
    /// 255 configurations, of which one comes.
    Configurations,
    /// A name that commands a terminal.
    Name,
    /// A keyboard from the second time on that it is asked.
    Changes,
    /// A keyboard from the third time on, after the two of a kernel that plugs it in and resets it.
    TwoFaced,
    /// A disk, which takes no command.
    Silent,
}

const LIES: [Lie; 15] = [
    Lie::Nothing,
    Lie::TotalOver,
    Lie::TotalUnder,
    Lie::TotalGrows,
    Lie::Endpoints,
    Lie::Interfaces,
    Lie::Number,
    Lie::Duplicate,
    Lie::Zero,
    Lie::PacketSize,
    Lie::Configurations,
    Lie::Name,
    Lie::Changes,
    Lie::TwoFaced,
    Lie::Silent,
];

/// Their names, in the same order.
pub(super) const NAMES: [&str; 15] = [
    "nothing",
    "total-over",
    "total-under",
    "total-grows",
    "endpoints",
    "interfaces",
    "number",
    "duplicate",
    "zero",
    "packet-size",
    "configurations",
    "name",
    "changes",
    "two-faced",
    "silent",
];

/// The endpoints that there are.
pub(super) const ENDPOINTS: [[u8; 7]; 2] = [BULK_IN, BULK_OUT];

const BULK_IN: [u8; 7] = [7, 5, 0x81, 2, 0x00, 0x02, 0];
const BULK_OUT: [u8; 7] = [7, 5, 0x02, 2, 0x00, 0x02, 0];
const INTERRUPT_IN: [u8; 7] = [7, 5, 0x85, 3, 8, 0, 4];

/// The reports of the keyboard: eight keys that are down or up.
pub(super) const KEYS: [u8; 23] = [
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95,
    0x08, 0x81, 0x02, 0xc0,
];

/// Classes, with subclass and protocol.
const VENDOR: [u8; 3] = [0xff, 0, 0];
const DISK: [u8; 3] = [8, 6, 0x50];
const KEYBOARD: [u8; 3] = [3, 1, 1];

impl Lie {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let place = NAMES.iter().position(|one| *one == name)?;
        LIES.get(place).copied()
    }

    pub(super) fn device(self) -> Vec<u8> {
        let configurations = if self == Self::Configurations { 255 } else { 1 };
        vec![18, 1, 0, 2, 0, 0, 0, 64, 0x25, 0x05, 0xac, 0xa4, 0, 1, 1, 2, 3, configurations]
    }

    /// The configuration, or what its header says of it, after it was told so many times as a whole.
    pub(super) fn configuration(self, told: usize, whole: bool) -> Vec<u8> {
        let bulk = [BULK_IN, BULK_OUT].concat();
        let honest = [&interface(0, 2, VENDOR)[..], &bulk].concat();
        let (interfaces, total, parts) = match self {
            Self::Nothing | Self::Configurations | Self::Name => (1, None, honest),
            Self::TotalOver => (1, Some(0x0400), honest),
            Self::TotalUnder => (1, Some(9 + 9 + 3), honest),
            Self::TotalGrows => (1, if whole { Some(u16::MAX) } else { None }, honest),
            Self::Endpoints => (1, None, [&interface(0, 30, VENDOR)[..], &bulk].concat()),
            Self::Interfaces => (32, None, honest),
            Self::Number => (1, None, [&interface(200, 2, VENDOR)[..], &bulk].concat()),
            Self::Duplicate => {
                let first = [&interface(0, 3, VENDOR)[..], &bulk, &BULK_IN].concat();
                (2, None, [&first[..], &interface(1, 2, VENDOR), &bulk].concat())
            }
            Self::Zero => (1, None, [&interface(0, 2, VENDOR)[..], &BULK_IN, &[0, 0x24], &BULK_OUT].concat()),
            Self::PacketSize => {
                let huge = [7, 5, 0x81, 2, 0xff, 0xff, 0];
                (1, None, [&interface(0, 2, VENDOR)[..], &huge, &BULK_OUT].concat())
            }
            Self::Silent => (1, None, [&interface(0, 2, DISK)[..], &bulk].concat()),
            Self::Changes if told == 0 => (1, None, honest),
            Self::TwoFaced if told < 2 => (1, None, honest),
            Self::Changes | Self::TwoFaced => {
                let hid = [9, 0x21, 0x11, 0x01, 0, 1, 0x22, KEYS.len() as u8, 0];
                (1, None, [&interface(0, 1, KEYBOARD)[..], &hid, &INTERRUPT_IN].concat())
            }
        };
        let [low, high] = total.unwrap_or(9 + parts.len() as u16).to_le_bytes();
        [&[9, 2, low, high, interfaces, 1, 0, 0x80, 50][..], &parts].concat()
    }

    pub(super) fn string(self, index: u8) -> Option<Vec<u8>> {
        match index {
            0 => Some(vec![4, 3, 0x09, 0x04]),
            1 => Some(string("p2pusb")),
            2 if self == Self::Name => Some(string("Lab\u{1b}[2J\r\n\u{202e}lie")),
            2 => Some(string("Lab lie")),
            3 => Some(string("lab-lie")),
            _ => None,
        }
    }
}

fn interface(number: u8, endpoints: u8, [class, subclass, protocol]: [u8; 3]) -> [u8; 9] {
    [9, 4, number, 0, endpoints, class, subclass, protocol, 0]
}

fn string(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [&[2 + units.len() as u8, 3][..], &units].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_a_lie_of_its_own() {
        let mut told: Vec<_> = NAMES
            .iter()
            .map(|name| {
                let lie = Lie::from_name(name).unwrap();
                (
                    lie.device(),
                    lie.string(2),
                    [(0, false), (0, true), (1, true), (2, true)].map(|(n, w)| lie.configuration(n, w)),
                )
            })
            .collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), NAMES.len());
        assert_eq!(Lie::from_name("truth"), None);
    }
}
