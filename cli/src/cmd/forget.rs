//! `p2pusb forget`: end the pairing with a peer.

use p2pusb_dbus::{Options, names::interface};
use serde::Serialize;

use crate::{args::Forget, bus::Bus, exit::Failure, json, report::Report, select};

#[derive(Serialize)]
struct Json {
    forgotten: json::Peer,
}

pub(super) async fn run(bus: &mut Bus, args: &Forget) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let peer = select::peer(&all, &args.peer)?;
    let what = format!("Forgetting {}", peer.name());
    let () = bus.call(&what, &peer.path, interface::PEER, "Forget", &(Options::new(),)).await?;
    let text = format!("{} is not paired with this machine any more.\n", peer.name());
    Ok(Report::new(text, &Json { forgotten: peer.into() }))
}
