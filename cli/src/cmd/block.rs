//! `p2pusb block`: have nothing to do with a peer.

use p2pusb_dbus::{Options, names::interface, values::Trust};
use serde::Serialize;

use crate::{args::Block, bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    blocked: Option<json::Peer>,
}

pub(super) async fn run(bus: &mut Bus, args: &Block) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let peer = select::peer(&all, &args.peer)?;
    let name = peer.name();
    let arguments = (Trust::Blocked.as_str(), Options::new());
    let () = bus.call(&format!("Blocking {name}"), &peer.path, interface::PEER, "SetTrust", &arguments).await?;
    let text = format!("{name} is blocked. To undo it: p2pusb unblock {name}\n");
    Ok(Report::new(text, &Json { blocked: bus.snapshot().await?.peer(&peer.path).map(Into::into) }))
}
