//! What the data path costs: bare TCP, a bare iroh stream, and two daemons from a simulated kernel to a simulated
//! device, side by side in one run. `cargo xtask bench` runs it; docs/performance says how to read what comes out.
//!
//! Every side is a process of its own with one thread for its tasks, as the daemon is. This program starts itself
//! anew for each of them and talks to them over pipes, one line for each question and answer.

mod allocations;
mod child;
mod daemons;
mod iroh_stream;
mod lab;
mod machine;
mod measure;
mod report;
mod run;
mod svg;
mod table;
mod tcp;
mod usage;

use std::process::ExitCode;

/// Why there is no measurement, for people.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T = ()> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["side", "exporter", folder, how] => daemons::exporter(folder, how),
        ["side", "importer", folder] => daemons::importer(folder),
        ["side", "iroh-server"] => iroh_stream::server(),
        ["side", "iroh-client"] => iroh_stream::client(),
        ["side", "tcp-server"] => tcp::server(),
        ["side", "tcp-client"] => tcp::client(),
        options => run::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
