//! The kernel of the User Mode Linux machine.

use p2pusb_lab::machine::Machine;

use crate::run::{Result, command, run, say};

/// Builds it from Debian's sources, into the cache.
pub(crate) fn build() -> Result {
    say("building the User Mode Linux kernel from Debian's sources: about ten minutes");
    run(&mut command("lab/machines/build-kernel", &[]))
}

/// Builds it unless one is there.
pub(crate) fn ensure() -> Result {
    match Machine::Uml.missing() {
        None => Ok(()),
        Some(reason) if cfg!(target_arch = "x86_64") => {
            println!("{reason}");
            build()
        }
        Some(reason) => {
            println!("SKIPPED {reason}");
            Ok(())
        }
    }
}
