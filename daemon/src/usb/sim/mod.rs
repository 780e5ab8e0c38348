//! Simulated devices, behind the same [door](super::Host) as the real ones.
//!
//! They are for tests and measurements of everything above libusb: nothing here is in the shipped program. A
//! [`SimHost`] has any number of [`SimDevice`]s and one thread, `sim-usb`, on which their transfers complete, as
//! libusb's do on `usb-events`. A device can also complete its transfers at once, within the submit, so that what
//! surrounds it can be measured alone.

mod device;
mod host;
mod model;

pub(crate) use self::model::info;
pub use self::{
    device::{Counts, SimDevice},
    host::SimHost,
    model::{Behaviour, Model, SimEndpoint, report, report_age},
};
