//! Running scenarios by hand.

use std::process::ExitStatus;

use p2pusb_lab::{
    machine::Machine,
    scenario::{self, Scenario},
};

use crate::{
    apt,
    run::{Result, cargo, programs, say},
};

/// `cargo xtask lab [--machine M] [--shell] NAME...`
pub(crate) fn lab(arguments: &[&str]) -> Result {
    let mut machine = None;
    let mut shell = false;
    let mut names = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--machine" => machine = Some(arguments.next().ok_or("--machine needs a name")?.parse()?),
            "--shell" => shell = true,
            name => names.push(name),
        }
    }
    let all = scenario::all(&p2pusb_lab::folder().join("scenarios")).map_err(|error| error.to_string())?;
    if names.is_empty() {
        for scenario in all {
            println!("{:16} {}", scenario.name, scenario.title);
        }
        return Ok(());
    }
    apt::for_build()?;
    apt::for_lab()?;
    cargo(&["build", "--workspace"])?;
    for name in names {
        let scenario = all.iter().find(|scenario| scenario.name == name);
        let scenario = scenario.ok_or_else(|| format!("there is no scenario {name}; `cargo xtask lab` lists them"))?;
        more_programs(&scenario.programs)?;
        let machine = machine.or(scenario.machines.first().copied()).unwrap_or(Machine::Uml);
        let status = run_scenario(machine, scenario, shell)?;
        if !status.success() {
            return Err(format!("{name} on {machine}: {status}"));
        }
    }
    Ok(())
}

/// Builds programs of the lab that the workspace does without: the whole of it, tests included, would be built with their
/// dependencies' features otherwise.
pub(crate) fn more_programs(programs: &[String]) -> Result {
    for program in programs {
        let feature = program.strip_prefix("lab-").unwrap_or(program);
        cargo(&["build", "--package", "p2pusb-lab", "--features", feature, "--bin", program])?;
    }
    Ok(())
}

/// Runs one scenario, its output going where ours goes.
pub(crate) fn run_scenario(machine: Machine, scenario: &Scenario, shell: bool) -> Result<ExitStatus> {
    if let Some(reason) = machine.missing() {
        return Err(reason);
    }
    if let Some(variable) = scenario.unset() {
        return Err(format!("{} needs {variable}: run it through `cargo xtask test`", scenario.name));
    }
    say(&format!("{} on {machine}: {}", scenario.name, scenario.title));
    let mut command = machine.command(scenario, &programs()?, 0);
    if shell {
        // Options come before the program, which is the last argument.
        let mut with_shell = std::process::Command::new(command.get_program());
        let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        let (program, options) = arguments.split_last().ok_or("a scenario without a program")?;
        with_shell.args(options).args(["--shell", "--env", "LAB_SHELL"]).arg(program).env("LAB_SHELL", "yes");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                with_shell.env(name, value);
            }
        }
        command = with_shell;
    }
    command.status().map_err(|error| format!("{machine} can't be started: {error}"))
}
