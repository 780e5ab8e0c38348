//! All tests.

use std::{env, process::Command};

use p2pusb_lab::{machine::Machine, scenario};

use crate::{
    apt, deb, kernel, lab,
    run::{Result, cargo, command, exists, run, say},
};

/// The release of cargo-nextest that is installed where there is none.
const NEXTEST: &str = "0.9.143";

/// Runs everything that must hold before a change lands. The last lines are the test runner's own.
pub(crate) fn test() -> Result {
    apt::for_build()?;
    apt::for_lab()?;
    if !exists("cargo-nextest") {
        say("installing cargo-nextest");
        cargo(&["install", "--locked", "--quiet", "--version", NEXTEST, "cargo-nextest"])?;
    }
    say("formatting");
    cargo(&["fmt", "--all", "--check"])?;
    say("the programs");
    cargo(&["build", "--workspace", "--all-targets"])?;
    for scenario in scenario::all(&p2pusb_lab::folder().join("scenarios")).map_err(|error| error.to_string())? {
        lab::more_programs(&scenario.programs)?;
    }
    say("lints");
    cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])?;
    say("documentation");
    println!("   cargo doc --workspace --no-deps");
    let mut doc =
        command(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), &["doc", "--workspace", "--no-deps"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    say("documentation's examples");
    cargo(&["test", "--workspace", "--doc", "--quiet"])?;
    kernel::ensure(Machine::Uml)?;
    // Without a network there is nothing to fetch it from: that machine's scenarios are skipped then.
    if let Err(error) = kernel::ensure(Machine::Qemu) {
        println!("{error}");
    }
    say("the package");
    let deb = deb::of_development()?;
    say("the tests");
    for machine in Machine::ALL {
        if let Some(reason) = machine.missing() {
            println!("SKIPPED, all scenarios on {machine}: {reason}");
        }
    }
    let mut nextest: Command = command(
        &env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()),
        &["nextest", "run", "--workspace", "--no-fail-fast"],
    );
    if let Some(program) = usb_host()? {
        nextest.env("P2PUSB_USB_HOST_TEST", program);
    }
    run(nextest.env("P2PUSB_DEB", deb))
}

/// The program of the daemon's tests that need real gadgets: a scenario runs it in a guest.
fn usb_host() -> Result<Option<String>> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["test", "--workspace", "--test", "usb_host", "--no-run", "--message-format=json", "--quiet"];
    let output = command(&cargo, &arguments).output().map_err(|error| format!("cargo can't be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let named = text.lines().filter(|line| line.contains("\"name\":\"usb_host\""));
    let program = named.filter_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next()).next_back();
    Ok(program.map(str::to_owned))
}
