//! `p2pusb change`: say anew which peers may use a shared device, and how long they keep it without a connection.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;
use zbus::ObjectPath;

use super::status::for_whom;
use crate::{args::Change, bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    share: Option<json::Share>,
}

pub(super) async fn run(bus: &mut Bus, args: &Change) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let share = select::share(&all, &args.device)?;
    let peers = args.peers.iter().map(|peer| Ok(select::peer(&all, peer)?.path.as_str()));
    let peers = peers.collect::<Result<Vec<_>, Failure>>()?;
    let what = format!("Changing who may use {}", share.product);
    if args.every_peer || !peers.is_empty() {
        let peers: Vec<_> = peers.into_iter().map(ObjectPath::from_str_unchecked).collect();
        let () = bus.call(&what, &share.path, interface::SHARE, "SetPeers", &(peers, Options::new())).await?;
    }
    if let Some(grace) = args.grace {
        let () = bus.call(&what, &share.path, interface::SHARE, "SetGrace", &(grace, Options::new())).await?;
    }
    let after = bus.snapshot().await?;
    let share = after.share(&share.path);
    let text = match share {
        Some(share) => format!(
            "{} is shared with {}; without a connection it is kept for {} s.\n",
            share.product,
            for_whom(&after, share),
            share.grace
        ),
        None => String::new(),
    };
    Ok(Report::new(text, &Json { share: share.map(|share| json::Share::new(&after, share)) }))
}
