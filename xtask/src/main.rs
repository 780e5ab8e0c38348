//! `cargo xtask`: the project's own commands. They install what they need, and say what they do.

mod apt;
mod bench;
mod deb;
mod demo;
mod fuzz;
mod kernel;
mod lab;
mod run;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND, as root on a Debian machine with Rust:

  test                     all tests: formatting, lints, documentation, unit tests, and the lab's scenarios on real
                           kernel drivers
  demo                     shares a USB disk and uses it on another host, before your eyes
  lab [--machine uml|qemu] [--shell] NAME...
                           runs scenarios of lab/scenarios; --shell opens a shell in the guest when one fails
  lab --build-kernel       builds the User Mode Linux kernel (ten minutes)
  fuzz [--seconds N] [TARGET...]
                           fuzzes what reads bytes from anywhere: each target for a minute, or for N seconds
  bench [native]           measures the data path, natively and in the lab, beside TCP, iroh and the kernel's usbip, into
                           docs/performance; native: only natively, and prints it (--quick, --rounds N, latency,
                           throughput)
  deb                      builds the Debian package (release build)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] => test::test(),
        ["demo"] => demo::demo(),
        ["fuzz", rest @ ..] => fuzz::fuzz(rest),
        ["bench", rest @ ..] => bench::bench(rest),
        ["deb"] => deb::release().map(|path| println!("the package is {}", path.display())),
        ["lab", "--build-kernel"] => kernel::build(),
        ["lab", rest @ ..] => lab::lab(rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no command “{}”\n\n{HELP}", other.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
