//! `p2pusb pause` and `p2pusb resume`: take a shared device back for now, and give it again.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;

use crate::{bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    share: Option<json::Share>,
}

pub(super) async fn run(bus: &mut Bus, device: &str, paused: bool) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let share = select::share(&all, device)?;
    let name = match share.device.as_ref().and_then(|path| all.device(path)) {
        Some(device) => format!("{} ({})", device.name(), device.bus_path),
        None => share.product.clone(),
    };
    let what = if paused { format!("Taking back {name}") } else { format!("Giving {name} again") };
    let () = bus.call(&what, &share.path, interface::SHARE, "SetPaused", &(paused, Options::new())).await?;
    let text = if paused {
        format!("{name} is yours until `p2pusb resume`. It stays shared, and whoever waits for it keeps waiting.\n")
    } else {
        format!("{name} can be used by peers again.\n")
    };
    let after = bus.snapshot().await?;
    let share = after.share(&share.path).map(|share| json::Share::new(&after, share));
    Ok(Report::new(text, &Json { share }))
}
