//! The machines: which there are, whether they work here, and the command that runs a scenario on one.

use std::env;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use crate::scenario::{Clock, Init, Scenario};

/// Variables of the caller that every scenario sees. The last three are for scenarios that can do more than they do by
/// default: how many times, with how much data, and which random numbers.
const PASSED_ON: [&str; 5] = ["P2PUSB_LOG", "RUST_BACKTRACE", "LAB_COUNT", "LAB_SIZE", "LAB_SEED"];

/// A test machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// A User Mode Linux kernel: one CPU, boots in a second, has a virtual clock.
    Uml,
    /// Debian's own kernel under QEMU: two CPUs, modules, QEMU's devices.
    Qemu,
}

impl Machine {
    /// All machines, the quickest first.
    pub const ALL: [Self; 2] = [Self::Uml, Self::Qemu];

    /// The program's name in `lab/machines`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uml => "uml",
            Self::Qemu => "qemu",
        }
    }

    /// The boot program.
    fn program(self) -> Command {
        Command::new(crate::folder().join("machines").join(self.name()))
    }

    /// Why this machine can't be used here, `None` when it can.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        match self.program().arg("--check").output() {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            Err(error) => Some(format!("{self}: {error}")),
        }
    }

    /// The command that boots this machine and runs `scenario` with the project's programs from the folder `programs`.
    ///
    /// `cpu` is the one that a single-CPU guest is bound to.
    #[must_use]
    pub fn command(self, scenario: &Scenario, programs: &Path, cpu: usize) -> Command {
        let mut command = self.program();
        // Without KVM it is many times slower.
        let factor = if self == Self::Qemu { 2 } else { 1 };
        command.arg("--timeout").arg((scenario.timeout * factor).as_secs().to_string());
        command.arg("--cpu").arg(cpu.to_string());
        if scenario.clock == Clock::Virtual {
            command.args(["--clock", "virtual"]);
        }
        if scenario.init == Init::Systemd {
            command.args(["--init", "systemd"]);
        }
        match self {
            Self::Uml => {
                option(&mut command, "--kernel", &scenario.kernel);
                option(&mut command, "--disk", scenario.disk.map(|megabytes| megabytes.to_string()).as_slice());
            }
            Self::Qemu => option(&mut command, "--device", &scenario.qemu_devices),
        }
        command.env("LAB_BIN", programs).args(["--env", "LAB_BIN"]);
        for name in PASSED_ON.into_iter().chain(scenario.needs.iter().map(String::as_str)) {
            if env::var_os(name).is_some() {
                command.args(["--env", name]);
            }
        }
        command.arg(&scenario.path);
        command
    }
}

/// Adds an option once for each of its values.
fn option(command: &mut Command, name: &str, values: &[String]) {
    for value in values {
        command.arg(name).arg(value);
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|machine| machine.name() == name);
        found.ok_or_else(|| format!("there is no machine {name}: it is uml or qemu"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenarios_kernel_parameters_reach_the_machine_that_takes_them() {
        let scenario = Scenario::read(&crate::folder().join("scenarios/superspeed.sh")).expect("a good header");
        let arguments = |machine: Machine| {
            let command = machine.command(&scenario, Path::new("programs"), 0);
            command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let uml = arguments(Machine::Uml);
        assert!(uml.windows(2).any(|two| two == ["--kernel", "dummy_hcd.is_super_speed=1"]), "{uml:?}");
        assert!(!uml.contains(&"--disk".to_owned()));
        assert!(!arguments(Machine::Qemu).contains(&"--kernel".to_owned()));
    }
}
