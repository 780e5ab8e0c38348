//! `p2pusb limit`: how fast a share, or all that a peer uses of this machine, may be.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;

use crate::{args::Limit, bus::Bus, exit::Failure, format::rate, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    share: Option<json::Share>,
    peer: Option<json::Peer>,
}

pub(super) async fn run(bus: &mut Bus, args: &Limit) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let (path, interface, name) = match &args.peer {
        Some(peer) => {
            let peer = select::peer(&all, peer)?;
            (peer.path.clone(), interface::PEER, format!("All that {} uses of this machine", peer.name()))
        }
        None => {
            let share = select::share(&all, args.device.as_deref().unwrap_or_default())?;
            (share.path.clone(), interface::SHARE, share.product.clone())
        }
    };
    let arguments = (args.bandwidth.0, Options::new());
    let () = bus.call(&format!("Limiting {name}"), &path, interface, "SetBandwidth", &arguments).await?;
    let text = match args.bandwidth.0 {
        0 => format!("{name}: as fast as it goes.\n"),
        bytes => format!("{name}: {} at most.\n", rate(bytes)),
    };
    let after = bus.snapshot().await?;
    let share = after.share(&path).map(|share| json::Share::new(&after, share));
    Ok(Report::new(text, &Json { share, peer: after.peer(&path).map(Into::into) }))
}
