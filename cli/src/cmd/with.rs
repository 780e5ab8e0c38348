//! `p2pusb with`: use a remote device here for as long as a command runs.

use std::{os::unix::process::ExitStatusExt as _, process::Command};

use p2pusb_dbus::{ErrorName, MethodError, Options, names::interface};
use serde::Serialize;
use tokio::task::spawn_blocking;
use zbus::{OwnedFd, OwnedObjectPath};

use super::attach::{attach, chosen};
use crate::{args::With, bus::Bus, exit::Failure, report::Report};

/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

#[derive(Serialize)]
struct Json {
    status: u8,
}

pub(super) async fn run(bus: &mut Bus, args: &With) -> Result<Report, Failure> {
    let all = bus.snapshot().await?;
    let device = chosen(&all, &args.what)?;
    // Should this program be killed, the kernel closes the guard, and the daemon detaches the device.
    let (attachment, guard): (OwnedObjectPath, OwnedFd) =
        attach(bus, &all, device, &args.what, "AttachWithGuard", |_| {}).await?;

    let mut command = Command::new(&args.command);
    command.args(&args.arguments);
    let ended = spawn_blocking(move || command.status()).await;

    let what = format!("Detaching {} of {}", device.name(), all.peer_name(&device.peer));
    let detached = bus.call(&what, &attachment, interface::ATTACHMENT, "Detach", &(Options::new(),)).await;
    drop(guard);
    let not_run = |error| Failure::Program(args.command.clone(), error);
    let ended = ended.map_err(|error| not_run(error.into()))?.map_err(not_run)?;
    // Its peer may have been gone before.
    let failure = match detached {
        Ok(()) => None,
        Err(Failure::Call(MethodError { name: ErrorName::NotAttached | ErrorName::UnknownObject, .. })) => None,
        Err(failure) => Some(failure),
    };
    let code = ended.code().or_else(|| Some(BY_SIGNAL + ended.signal()?)).and_then(|code| u8::try_from(code).ok());
    let status = code.unwrap_or(u8::MAX);
    Ok(Report { status, failure, ..Report::new("", &Json { status }) })
}
