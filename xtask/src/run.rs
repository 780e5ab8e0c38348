//! Running other programs.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What a step comes to: nothing, or a sentence about what went wrong.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The folder of the project.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder where cargo puts what it builds for development.
pub(crate) fn programs() -> Result<PathBuf> {
    // This program is there itself.
    let own = env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    own.parent().map(Path::to_path_buf).ok_or_else(|| "this program is in no folder".to_owned())
}

/// Says what is being done.
pub(crate) fn say(text: &str) {
    println!("\n== {text}");
}

/// A command, run in the project's folder.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command and expects it to succeed.
pub(crate) fn run(command: &mut Command) -> Result {
    let name = || format!("{:?}", command.get_program()).replace('"', "");
    let name = name();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed: {status}")),
        Err(error) => Err(format!("{name} can't be run: {error}")),
    }
}

/// Runs cargo.
pub(crate) fn cargo(arguments: &[&str]) -> Result {
    println!("   cargo {}", arguments.join(" "));
    run(&mut command(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments))
}

/// Whether a program can be found.
pub(crate) fn exists(program: &str) -> bool {
    let Some(path) = env::var_os("PATH") else { return false };
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
