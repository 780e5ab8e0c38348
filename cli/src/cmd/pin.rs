//! `p2pusb pin`: have a share ask for a PIN, for another one, or for none.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;

use crate::{
    args::{Pin, PinFrom},
    bus::Bus,
    exit::Failure,
    json, pin,
    report::Report,
    select,
};

#[derive(Serialize)]
struct Json {
    share: Option<json::Share>,
}

pub(super) async fn run(bus: &mut Bus, args: &Pin) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let share = select::share(&all, &args.device)?;
    let name = match share.device.as_ref().and_then(|path| all.device(path)) {
        Some(device) => format!("{} ({})", device.name(), device.bus_path),
        None => share.product.clone(),
    };
    let text = if args.clear {
        let what = format!("Clearing the PIN of {name}");
        let () = bus.call(&what, &share.path, interface::SHARE, "ClearPin", &(Options::new(),)).await?;
        format!("{name} asks for no PIN any longer.\n")
    } else {
        let from = PinFrom { pin: true, pin_file: args.pin_file.clone() };
        let pin = pin::new(&from, &name).await?.ok_or(Failure::NotTyped)?;
        let what = format!("Setting the PIN of {name}");
        let arguments = (pin.for_daemon()?, Options::new());
        let () = bus.call(&what, &share.path, interface::SHARE, "SetPin", &arguments).await?;
        format!("{name} asks for the new PIN from now on. Whoever has it keeps it.\n")
    };
    let after = bus.snapshot().await?;
    let share = after.share(&share.path).map(|share| json::Share::new(&after, share));
    Ok(Report::new(text, &Json { share }))
}
