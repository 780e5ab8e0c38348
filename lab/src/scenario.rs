//! Scenarios: bash files whose first comment lines say where and how they run.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::Machine;

/// Real seconds that a scenario may take when its header does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// The guest's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time passes as it does outside.
    Real,
    /// The clock jumps over idle waits and stands still while the guest works (machine `uml` only).
    Virtual,
}

/// What runs as PID 1 in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// The lab's own small init.
    Script,
    /// systemd; the scenario is one of its units.
    Systemd,
}

/// One scenario, as its header describes it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without `.sh`.
    pub name: String,
    /// The bash file.
    pub path: PathBuf,
    /// One line that says what is shown.
    pub title: String,
    /// The machines that it runs on; empty for one that is only run by name.
    pub machines: Vec<Machine>,
    /// The clock that it needs.
    pub clock: Clock,
    /// What PID 1 has to be.
    pub init: Init,
    /// Real time after which the guest is killed.
    pub timeout: Duration,
    /// QEMU devices that are plugged from the start.
    pub qemu_devices: Vec<String>,
    /// Parameters for the guest's kernel (machine `uml` only: the other one's drivers are modules).
    pub kernel: Vec<String>,
    /// The size in megabytes of a disk for what the guest writes, which then outlives its reboots (machine `uml` only).
    pub disk: Option<u32>,
    /// Environment variables without which it can't run; they are handed to the guest.
    pub needs: Vec<String>,
    /// Programs of the lab that are not built with the others; each is a feature of this crate without its `lab-`.
    pub programs: Vec<String>,
}

/// Why a scenario's header can't be used.
#[derive(Debug)]
pub enum Error {
    /// The file or the folder could not be read.
    Read(PathBuf, io::Error),
    /// A header line has an unknown key, a bad value, or is missing.
    Header(PathBuf, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Header(path, what) => write!(f, "{}: {what}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Header(..) => None,
        }
    }
}

/// All scenarios of a folder, by name.
///
/// # Errors
/// When the folder or a file can't be read or a header is wrong.
pub fn all(folder: &Path) -> Result<Vec<Scenario>, Error> {
    let unreadable = |error| Error::Read(folder.to_path_buf(), error);
    let mut scenarios = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            scenarios.push(Scenario::read(&path)?);
        }
    }
    scenarios.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scenarios)
}

impl Scenario {
    /// Reads one scenario's header.
    ///
    /// # Errors
    /// When the file can't be read or its header is wrong.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|error| Error::Read(path.to_path_buf(), error))?;
        Self::parse(path, &text).map_err(|what| Error::Header(path.to_path_buf(), what))
    }

    /// The first of the environment variables that it needs and that is not set.
    #[must_use]
    pub fn unset(&self) -> Option<&str> {
        self.needs.iter().map(String::as_str).find(|name| env::var_os(name).is_none())
    }

    /// The first of the programs that it needs and that is not in the folder `built`.
    #[must_use]
    pub fn unbuilt(&self, built: &Path) -> Option<&str> {
        self.programs.iter().map(String::as_str).find(|program| !built.join(program).is_file())
    }

    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let mut scenario = Self {
            name,
            path: path.to_path_buf(),
            title: String::new(),
            machines: Vec::new(),
            clock: Clock::Real,
            init: Init::Script,
            timeout: DEFAULT_TIMEOUT,
            qemu_devices: Vec::new(),
            kernel: Vec::new(),
            disk: None,
            needs: Vec::new(),
            programs: Vec::new(),
        };
        let comments = text.lines().skip(1).map_while(|line| line.strip_prefix('#'));
        for (key, value) in comments.filter_map(header) {
            scenario.set(key, value)?;
        }
        if scenario.title.is_empty() {
            return Err("the header has no title".to_owned());
        }
        Ok(scenario)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "title" => value.clone_into(&mut self.title),
            "machines" => {
                self.machines = value.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            }
            "clock" => {
                self.clock = match value {
                    "real" => Clock::Real,
                    "virtual" => Clock::Virtual,
                    other => return Err(format!("clock: {other} is neither real nor virtual")),
                }
            }
            "init" => {
                self.init = match value {
                    "script" => Init::Script,
                    "systemd" => Init::Systemd,
                    other => return Err(format!("init: {other} is neither script nor systemd")),
                }
            }
            "timeout" => {
                let seconds = value.parse().map_err(|_| format!("timeout: {value} is no number of seconds"))?;
                self.timeout = Duration::from_secs(seconds);
            }
            "qemu-device" => self.qemu_devices.push(value.to_owned()),
            "kernel" => self.kernel.extend(value.split_whitespace().map(str::to_owned)),
            "disk" => {
                let megabytes = value.parse().map_err(|_| format!("disk: {value} is no number of megabytes"))?;
                self.disk = Some(megabytes);
            }
            "needs" => self.needs.extend(value.split_whitespace().map(str::to_owned)),
            "program" => self.programs.push(value.to_owned()),
            other => return Err(format!("unknown header line: {other}")),
        }
        Ok(())
    }
}

/// A header line is `# key: value` with a key of lower-case letters and dashes; other comments are prose.
fn header(comment: &str) -> Option<(&str, &str)> {
    let (key, value) = comment.strip_prefix(' ')?.split_once(": ")?;
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_key.then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, String> {
        Scenario::parse(Path::new("scenarios/some-name.sh"), text)
    }

    #[test]
    fn a_full_header() {
        let text = "#!/bin/bash\n# title: a disk: whole\n# machines: uml qemu\n# clock: virtual\n# init: systemd\n\
                    # timeout: 7\n# qemu-device: usb-kbd,id=k\n# kernel: one.a=1 two.b\n# disk: 256\n# needs: ONE TWO\n# program: lab-more\n#\n# Some prose. With more: text.\necho\n# title: not this\n";
        let scenario = parse(text).expect("a good header");
        assert_eq!(scenario.name, "some-name");
        assert_eq!(scenario.title, "a disk: whole");
        assert_eq!(scenario.machines, [Machine::Uml, Machine::Qemu]);
        assert_eq!(scenario.clock, Clock::Virtual);
        assert_eq!(scenario.init, Init::Systemd);
        assert_eq!(scenario.timeout, Duration::from_secs(7));
        assert_eq!(scenario.qemu_devices, ["usb-kbd,id=k"]);
        assert_eq!(scenario.kernel, ["one.a=1", "two.b"]);
        assert_eq!(scenario.disk, Some(256));
        assert_eq!(scenario.needs, ["ONE", "TWO"]);
        assert_eq!(scenario.programs, ["lab-more"]);
        assert_eq!(scenario.unbuilt(Path::new("/nowhere")), Some("lab-more"));
    }

    #[test]
    fn wrong_headers_are_refused() {
        for (text, expected) in [
            ("#!/bin/bash\n# machines: uml\n", "no title"),
            ("#!/bin/bash\n# title: x\n# machine: uml\n", "unknown header line: machine"),
            ("#!/bin/bash\n# title: x\n# machines: vax\n", "vax"),
            ("#!/bin/bash\n# title: x\n# clock: fast\n", "clock"),
            ("#!/bin/bash\n# title: x\n# timeout: soon\n", "timeout"),
            ("#!/bin/bash\n# title: x\n# disk: big\n", "disk"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn every_scenario_of_the_lab_has_a_good_header() {
        let scenarios = all(&crate::folder().join("scenarios")).expect("good headers");
        assert!(!scenarios.is_empty());
    }
}
