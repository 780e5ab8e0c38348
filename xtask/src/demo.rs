//! The demonstration.

use p2pusb_lab::{machine::Machine, scenario};

use crate::{
    apt, kernel,
    lab::run_scenario,
    run::{Result, cargo, say},
};

/// Shares a USB disk and uses it on another host, in a guest that leaves nothing behind.
pub(crate) fn demo() -> Result {
    apt::for_build()?;
    apt::for_lab()?;
    say("building p2pusb");
    cargo(&["build", "--workspace"])?;
    kernel::ensure(Machine::Uml)?;
    let all = scenario::all(&p2pusb_lab::folder().join("scenarios")).map_err(|error| error.to_string())?;
    let demo = all.iter().find(|scenario| scenario.name == "demo").ok_or("lab/scenarios/demo.sh is missing")?;
    let status = run_scenario(Machine::Uml, demo, false)?;
    if status.success() { Ok(()) } else { Err(format!("the demonstration failed: {status}")) }
}
