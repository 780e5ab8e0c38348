//! One test per scenario and machine, named `machine::scenario`. It builds nothing: `cargo build --workspace` goes
//! first, as `cargo xtask test` does. Where a machine is missing its tests are ignored, and the reason is told.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};
use p2pusb_lab::machine::Machine;
use p2pusb_lab::scenario::{self, Scenario};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let scenarios = match scenario::all(&p2pusb_lab::folder().join("scenarios")) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let missing = Machine::ALL.map(|machine| (machine, machine.missing()));
    let built = Path::new(env!("CARGO_BIN_EXE_lab-tool")).parent().unwrap_or(Path::new("."));
    let mut reasons = BTreeSet::new();
    let mut trials = Vec::new();
    for scenario in scenarios {
        for &machine in &scenario.machines {
            let absent = missing.iter().find(|(other, _)| *other == machine).and_then(|(_, reason)| reason.clone());
            let obstacle = absent.or_else(|| {
                let name = scenario.unset()?;
                Some(format!("{machine}::{}: {name} is not set (cargo xtask test sets it)", scenario.name))
            });
            let obstacle = obstacle.or_else(|| {
                let program = scenario.unbuilt(built)?;
                Some(format!("{machine}::{}: {program} is not built (cargo xtask test builds it)", scenario.name))
            });
            let scenario = scenario.clone();
            let trial = Trial::test(format!("{machine}::{}", scenario.name), move || run(machine, &scenario));
            trials.push(trial.with_ignored_flag(obstacle.is_some()));
            reasons.extend(obstacle);
        }
    }
    for reason in reasons {
        eprintln!("SKIPPED {reason}");
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Boots `machine` and runs `scenario` in it; everything that it prints is this test's output.
fn run(machine: Machine, scenario: &Scenario) -> Result<(), Failed> {
    let programs = programs()?;
    let output = machine.command(scenario, &programs, cpu()).stdin(Stdio::null()).output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{} on {machine}: {} (to run it alone: cargo xtask lab --machine {machine} {})",
            scenario.title, output.status, scenario.name
        )
        .into())
    }
}

/// The folder with the programs that this build made.
fn programs() -> Result<PathBuf, Failed> {
    let folder = Path::new(env!("CARGO_BIN_EXE_lab-tool")).parent().ok_or("a program without a folder")?;
    for program in ["p2pusbd", "p2pusb"] {
        if !folder.join(program).is_file() {
            return Err(format!("{program} is not built: run cargo build --workspace first").into());
        }
    }
    Ok(folder.to_path_buf())
}

/// The CPU for a guest that has only one: tests that run beside each other take different ones.
fn cpu() -> usize {
    let slot: usize = env::var("NEXTEST_TEST_GROUP_SLOT").ok().and_then(|slot| slot.parse().ok()).unwrap_or(0);
    slot % thread::available_parallelism().map_or(1, usize::from)
}
