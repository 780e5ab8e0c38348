//! `p2pusbd`: see p2pusbd(8).

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use p2pusbd::{config, sd::journal, supervisor};

/// Shares local USB devices with paired machines, and attaches theirs.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Read the settings from this file; it must exist. Default: /etc/p2pusb/p2pusb.toml, if it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Give the devices of a daemon that was killed back to their drivers, and exit.
    #[arg(long)]
    cleanup: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    journal::start();
    let result = if args.cleanup { supervisor::clean_up() } else { serve(&args) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), supervisor::Failure> {
    // One thread: a URB passes through several small tasks, and each hop to another thread would cost more
    // than the work itself. libusb has a thread of its own, and blocking calls get one from a pool.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| supervisor::Failure::Io("the asynchronous runtime", error))?;
    let default = PathBuf::from(config::DEFAULT_PATH);
    let (path, required) = match &args.config {
        Some(path) => (path, true),
        None => (&default, false),
    };
    let result = runtime.block_on(supervisor::run(path, required));
    // A blocking call that hangs in a driver must not keep the process.
    runtime.shutdown_background();
    result
}
