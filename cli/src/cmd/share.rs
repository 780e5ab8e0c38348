//! `p2pusb share`: offer a device of this machine.

use p2pusb_dbus::{
    Options,
    names::{ROOT_PATH, interface, option},
};
use serde::Serialize;
use zbus::{ObjectPath, OwnedObjectPath};

use super::status::for_whom;
use crate::{args::Share, bus::Bus, exit::Failure, json, pin, report::Report, select};

#[derive(Serialize)]
struct Json {
    share: Option<json::Share>,
}

pub(super) async fn run(bus: &mut Bus, args: &Share) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let device = select::device(&all, &args.device)?;
    let mut peers = Vec::new();
    for typed in &args.peers {
        let path = ObjectPath::from_str_unchecked(&select::peer(&all, typed)?.path);
        // Named twice is meant once.
        if !peers.contains(&path) {
            peers.push(path);
        }
    }
    let mut options = Options::new();
    if !peers.is_empty() {
        options.insert(option::PEERS, peers.into());
    }
    if args.force {
        options.insert(option::FORCE, true.into());
    }
    if let Some(grace) = args.grace {
        options.insert(option::GRACE, grace.into());
    }
    if let Some(lifetime) = args.lifetime {
        options.insert(option::EXPIRES_USEC, u64::try_from(lifetime.as_micros()).unwrap_or(u64::MAX).into());
    }
    if args.once {
        options.insert(option::ONCE, true.into());
    }
    if !args.windows.is_empty() {
        options.insert(option::WINDOWS, args.windows.clone().into());
    }
    if let Some(limit) = args.session_limit {
        options.insert(option::SESSION_LIMIT, u32::try_from(limit.as_secs()).unwrap_or(u32::MAX).into());
    }
    if args.ask {
        options.insert(option::ASK, true.into());
    }
    if let Some(bandwidth) = args.bandwidth {
        options.insert(option::BANDWIDTH, bandwidth.into());
    }
    if !args.follows.is_empty() {
        options.insert(option::FOLLOWS, args.follows.clone().into());
    }
    if let Some(pin) = pin::new(&args.pin, &device.name()).await? {
        options.insert(option::PIN, pin.for_daemon()?.into());
    }
    let what = format!("Sharing {}", device.name());
    let path = ObjectPath::from_str_unchecked(&device.path);
    let share: OwnedObjectPath =
        bus.call(&what, ROOT_PATH, interface::MANAGER, "ShareDevice", &(path, options)).await?;

    let after = bus.snapshot().await?;
    let share = after.share(&share);
    let text = match share {
        Some(share) => {
            let whom = for_whom(&after, share);
            let pin = if share.pin_protected { ", who know its PIN" } else { "" };
            format!("Shared {} ({}) with {whom}{pin}; id {}.\n", device.name(), device.bus_path, share.id)
        }
        // Another call has revoked it already.
        None => format!("Shared {} ({}).\n", device.name(), device.bus_path),
    };
    Ok(Report::new(text, &Json { share: share.map(|share| json::Share::new(&after, share)) }))
}
