//! The command line client of p2pusbd. It talks D-Bus and nothing else: everything that it can do, other
//! programs can do as well.

mod agent;
mod args;
mod bus;
mod clock;
mod cmd;
mod complete;
mod duration;
mod exit;
mod format;
mod json;
#[cfg(test)]
mod man;
mod nodes;
mod pin;
mod pkttyagent;
mod progress;
mod report;
mod select;
mod snapshot;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;

use crate::{
    exit::{Exit, Failure},
    report::Report,
};

fn main() -> ExitCode {
    // Where the shell asks for completions (COMPLETE is set), this answers and ends.
    CompleteEnv::with_factory(args::Cli::command).complete();
    let cli = args::Cli::parse();
    let result = run(&cli);
    let (written, status, failure) = match result {
        Ok(report) => (report.write(cli.json), report.status, report.failure),
        Err(Failure::ReaderGone) => (Ok(()), 0, None),
        Err(failure) => (Ok(()), 0, Some(failure)),
    };
    if let Some(failure) = failure {
        // Where standard error takes nothing either, the exit code is all that can be said.
        let _ = report::write_failure(&failure, cli.json);
        return failure.exit().into();
    }
    if written.is_err() { Exit::Failed.into() } else { ExitCode::from(status) }
}

fn run(cli: &args::Cli) -> Result<Report, Failure> {
    // One connection and one thing at a time: no threads are needed.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(cmd::run(cli))
}
