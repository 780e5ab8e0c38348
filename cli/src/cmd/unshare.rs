//! `p2pusb unshare`: end the offer of a device.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;

use crate::{args::Unshare, bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    unshared: json::Share,
}

pub(super) async fn run(bus: &mut Bus, args: &Unshare) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let share = select::share(&all, &args.device)?;
    let name = match share.device.as_ref().and_then(|path| all.device(path)) {
        Some(device) => format!("{} ({})", device.name(), device.bus_path),
        None => share.product.clone(),
    };
    let what = format!("Taking back {name}");
    let () = bus.call(&what, &share.path, interface::SHARE, "Revoke", &(Options::new(),)).await?;
    let text = format!("{name} is not shared any more.\n");
    Ok(Report::new(text, &Json { unshared: json::Share::new(&all, share) }))
}
