//! The kernels of the lab's machines.

use p2pusb_lab::machine::Machine;

use crate::run::{Result, command, run, say};

/// Builds the User Mode Linux machine's from Debian's sources, into the cache.
pub(crate) fn build() -> Result {
    say("building the User Mode Linux kernel from Debian's sources: about ten minutes");
    run(&mut command("lab/machines/build-kernel", &[]))
}

/// Puts Debian's own, for the QEMU machine, into the cache.
fn fetch() -> Result {
    say("fetching Debian's kernel for QEMU: about a minute");
    run(&mut command("lab/machines/fetch-kernel", &[]))
}

/// Sees to it that `machine` has a kernel, unless it can't be used here anyway.
pub(crate) fn ensure(machine: Machine) -> Result {
    let Some(reason) = machine.missing() else { return Ok(()) };
    println!("{reason}");
    match machine {
        _ if !cfg!(target_arch = "x86_64") => Ok(()),
        Machine::Uml => build(),
        Machine::Qemu => fetch(),
    }
}
