//! `p2pusbd`: see p2pusbd(8).

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use p2pusb_dbus::names::CONFIG_FILE_DEFAULT;
use p2pusbd::{config::Source, sd::journal, supervisor};

/// Shares local USB devices with paired machines, and attaches theirs.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// Read the settings from this file, which must exist, and from the folder beside it whose name ends in .d in place
    /// of .toml. Default: /etc/p2pusb/p2pusb.toml, if it exists, and /etc/p2pusb/p2pusb.d.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Say whether the settings are good, and exit.
    #[arg(long, conflicts_with = "cleanup")]
    check_config: bool,

    /// Give the devices of a daemon that was killed back to their drivers, and exit.
    #[arg(long)]
    cleanup: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    journal::start();
    let source = match args.config {
        Some(path) => Source::new(path, true),
        None => Source::new(CONFIG_FILE_DEFAULT, false),
    };
    let result = match (args.cleanup, args.check_config) {
        (true, _) => supervisor::clean_up(),
        (_, true) => check_config(&source),
        _ => serve(source),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(source: &Source) -> Result<(), supervisor::Failure> {
    let mut text = String::new();
    for file in supervisor::check_config(source)? {
        text.push_str(&format!("{}\n", file.display()));
    }
    text.push_str("The settings are good.\n");
    // Whoever does not want to read it has the exit status.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn serve(source: Source) -> Result<(), supervisor::Failure> {
    // One thread: a URB passes through several small tasks, and each hop to another thread would cost more
    // than the work itself. libusb has a thread of its own, and blocking calls get one from a pool.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| supervisor::Failure::Io("the asynchronous runtime", error))?;
    let result = runtime.block_on(supervisor::run(source));
    // A blocking call that hangs in a driver must not keep the process.
    runtime.shutdown_background();
    result
}
