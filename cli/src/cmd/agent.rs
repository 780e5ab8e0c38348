//! `p2pusb agent`: ask whoever sits here what p2pusbd wants to know, until it is stopped.

use std::io::{Write as _, stderr};

use serde::Serialize;

use crate::{
    agent,
    bus::Bus,
    exit::Failure,
    report::Report,
    watch::{Step, Watch},
};

#[derive(Serialize)]
struct Json {}

pub(super) async fn run(bus: &mut Bus) -> Result<Report, Failure> {
    let mut answered = agent::register(bus).await?;
    // There may be nobody who reads it.
    let _ = writeln!(stderr(), "What p2pusbd wants to know is asked here. Ctrl-C ends it.");
    let mut watch = Watch::start(bus.connection()).await?;
    let daemon = async {
        while watch.next().await? != Step::Stopped {}
        Ok::<_, Failure>(())
    };
    tokio::pin!(daemon);
    loop {
        tokio::select! {
            Some(_) = answered.recv() => {}
            ended = &mut daemon => {
                ended?;
                return Err(Failure::DaemonEnded);
            }
            _ = tokio::signal::ctrl_c() => return Ok(Report::new("", &Json {})),
        }
    }
}
