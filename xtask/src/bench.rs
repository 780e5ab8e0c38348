//! Measuring the data path.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use p2pusb_lab::{
    machine::Machine,
    scenario::{self, Scenario},
};

use crate::{
    apt, kernel,
    run::{Result, cargo, command, programs, root, run, say},
};

/// Where the report goes.
const FOLDER: &str = "docs/performance";

/// The scenarios that measure: without delay on the real clock, and with delay on the virtual one.
const SCENARIOS: [&str; 2] = ["measure-cpu", "measure"];

/// `cargo xtask bench [native] [OPTIONS]`: natively and in the lab, into one report; or natively only, to look at.
pub(crate) fn bench(arguments: &[&str]) -> Result {
    apt::for_build()?;
    let (native, options) = match arguments {
        ["native", options @ ..] => (true, options),
        options => (false, options),
    };
    say("the data path, natively (release build)");
    cargo(&["build", "--release", "--package", "p2pusb-bench"])?;
    let mut words = options.to_vec();
    let measured = root().join("target/lab-measured.txt");
    let measured = measured.to_string_lossy();
    if !native {
        lab(&measured)?;
        words.extend(["--lab", &measured, "--out", FOLDER]);
    }
    run(&mut command("target/release/p2pusb-bench", &words))
}

/// Runs the lab's scenarios; what they print goes into a file, too.
fn lab(path: &str) -> Result {
    apt::for_lab()?;
    kernel::ensure(Machine::Uml)?;
    cargo(&["build", "--workspace"])?;
    let all = scenario::all(&p2pusb_lab::folder().join("scenarios")).map_err(|error| error.to_string())?;
    let mut output = String::new();
    for name in SCENARIOS {
        let scenario = all.iter().find(|scenario| scenario.name == name);
        let scenario = scenario.ok_or_else(|| format!("lab/scenarios/{name}.sh is missing"))?;
        say(&format!("{name}: {}", scenario.title));
        output.push_str(&listen(scenario)?);
    }
    fs::write(path, output).map_err(|error| format!("{path} can't be written: {error}"))
}

/// Runs a scenario, and says and returns what it prints.
fn listen(scenario: &Scenario) -> Result<String> {
    let failed = |error: std::io::Error| format!("{} can't be run: {error}", scenario.name);
    let mut command = Machine::Uml.command(scenario, &programs()?, 0);
    let mut process = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut output = String::new();
    if let Some(lines) = process.stdout.take() {
        for line in BufReader::new(lines).lines() {
            let line = line.map_err(failed)?;
            // A console that is gone is no reason not to measure.
            let _ = writeln!(std::io::stdout(), "{line}");
            output.push_str(&line);
            output.push('\n');
        }
    }
    let status = process.wait().map_err(failed)?;
    if status.success() { Ok(output) } else { Err(format!("{} failed: {status}", scenario.name)) }
}
