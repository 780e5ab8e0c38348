//! `p2pusb unblock`: end the blocking of a peer.

use p2pusb_dbus::{Options, names::interface, values::Trust};
use serde::Serialize;

use crate::{args::Unblock, bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    unblocked: Option<json::Peer>,
}

pub(super) async fn run(bus: &mut Bus, args: &Unblock) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let peer = select::peer(&all, &args.peer)?;
    let name = peer.name();
    let arguments = (Trust::Paired.as_str(), Options::new());
    let () = bus.call(&format!("Unblocking {name}"), &peer.path, interface::PEER, "SetTrust", &arguments).await?;
    let text = format!("{name} is not blocked any more.\n");
    Ok(Report::new(text, &Json { unblocked: bus.snapshot().await?.peer(&peer.path).map(Into::into) }))
}
