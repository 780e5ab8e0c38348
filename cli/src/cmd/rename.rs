//! `p2pusb rename`: call a peer something else.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;

use crate::{args::Rename, bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    peer: Option<json::Peer>,
}

pub(super) async fn run(bus: &mut Bus, args: &Rename) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let peer = select::peer(&all, &args.peer)?;
    let what = format!("Renaming {}", peer.name());
    let arguments = (args.label.as_str(), Options::new());
    let () = bus.call(&what, &peer.path, interface::PEER, "SetLabel", &arguments).await?;
    let after = bus.snapshot().await?;
    let text = format!("{} is called {} from now on.\n", peer.name(), after.peer_name(&peer.path));
    Ok(Report::new(text, &Json { peer: after.peer(&peer.path).map(Into::into) }))
}
