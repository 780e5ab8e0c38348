//! Fuzzing: bytes from anywhere, for as long as you like.
//!
//! The targets are those of cargo-fuzz, built here for the toolchain at hand: what cargo-fuzz needs a nightly one for is the
//! address sanitizer, and what is fuzzed has no `unsafe`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    apt,
    run::{Result, command, root, run, say},
};

/// The crates that have targets, each with a folder `fuzz` of its own.
const CRATES: [&str; 2] = ["protocol", "daemon"];

/// How long one target runs unless somebody asks for more.
const SECONDS: u32 = 60;

/// What a target may take for one input, in seconds, and in all, in MB.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=512"];

/// Counts each edge of the program and watches each comparison, so that the fuzzer sees what an input has reached.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// One fuzz target.
struct Target {
    name: String,
    /// The folder of its crate.
    folder: PathBuf,
}

/// `cargo xtask fuzz [--seconds N] [TARGET...]`
pub(crate) fn fuzz(arguments: &[&str]) -> Result {
    let mut seconds = SECONDS;
    let mut names = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--seconds" => {
                let number = arguments.next().ok_or("--seconds needs a number")?;
                seconds = number.parse().map_err(|_| format!("--seconds needs a number, not “{number}”"))?;
            }
            name => names.push(name),
        }
    }
    let all = targets()?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|target| target.name != **name)) {
        let known: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
        return Err(format!("there is no target {unknown}; there are {}", known.join(", ")));
    }
    let chosen: Vec<&Target> =
        all.iter().filter(|target| names.is_empty() || names.contains(&target.name.as_str())).collect();
    apt::for_fuzzing()?;
    for name in CRATES {
        let folder = root().join(name).join("fuzz");
        if chosen.iter().any(|target| target.folder == folder) {
            build(&folder)?;
        }
    }
    let mut failures = Vec::new();
    for target in chosen {
        if let Err(error) = target.run(seconds) {
            println!("{error}");
            failures.push(target.name.as_str());
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("findings: {}", failures.join(", "))) }
}

/// Every file in a folder `fuzz_targets` is one.
fn targets() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for name in CRATES {
        let folder = root().join(name).join("fuzz");
        for path in files(&folder.join("fuzz_targets"))? {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            targets.push(Target { name, folder: folder.clone() });
        }
    }
    Ok(targets)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Where the targets are built, what they find on the way, and their logs.
fn output() -> PathBuf {
    root().join("target/fuzz")
}

/// The programs are for this machine, and named so: otherwise build scripts would be instrumented, too.
fn host() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn build(folder: &Path) -> Result {
    say(&format!("building the targets in {}", folder.display()));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = command(&cargo, &["build", "--release", "--bins", "--target", &host()]);
    run(build.current_dir(folder).env("RUSTFLAGS", INSTRUMENTED).env("CARGO_TARGET_DIR", output()))
}

impl Target {
    fn run(&self, seconds: u32) -> Result {
        say(&format!("{}, for {seconds} s", self.name));
        let made = |folder: PathBuf| match fs::create_dir_all(&folder) {
            Ok(()) => Ok(folder),
            Err(error) => Err(format!("{}: {error}", folder.display())),
        };
        let seeds = self.folder.join("seeds").join(&self.name);
        // What was found before; the seeds are written by hand and keep their names.
        let kept = made(self.folder.join("corpus").join(&self.name))?;
        let found = made(output().join("found").join(&self.name))?;
        let artifacts = made(output().join("findings").join(&self.name))?;
        let log = output().join(format!("{}.log", self.name));
        let stderr = fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;

        let program = output().join(host()).join("release").join(&self.name);
        let mut fuzz = command(&program.to_string_lossy(), &LIMITS);
        fuzz.arg(format!("-max_total_time={seconds}"))
            .arg("-print_final_stats=1")
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args([&found, &kept, &seeds])
            .stderr(stderr);
        let result = run(&mut fuzz);
        let text = fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let text = String::from_utf8_lossy(&text);
        summary(&text);
        result.map_err(|error| {
            let last: Vec<&str> = text.lines().rev().take(40).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            format!("{}\n{error}; the input is in {}", last.join("\n"), artifacts.display())
        })?;
        self.keep(&program, [&seeds, &kept, &found])
    }

    /// Keeps the fewest inputs that reach everything that was ever reached. They run with the ordinary tests.
    fn keep(&self, program: &Path, folders: [&PathBuf; 3]) -> Result {
        let [seeds, kept, found] = folders;
        let fewest = output().join("fewest").join(&self.name);
        let failed = |error: std::io::Error| format!("keeping what {} has found: {error}", self.name);
        let _ = fs::remove_dir_all(&fewest);
        fs::create_dir_all(&fewest).map_err(failed)?;
        let mut merge = command(&program.to_string_lossy(), &LIMITS);
        // Reaching something twice is not worth another file.
        merge.args(["-set_cover_merge=1", "-use_counters=0"]).args([&fewest, seeds, kept, found]).stderr(Stdio::null());
        run(&mut merge)?;
        let seeds = files(seeds)?.iter().map(fs::read).collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
        fs::remove_dir_all(kept).map_err(failed)?;
        fs::create_dir_all(kept).map_err(failed)?;
        let (mut count, mut bytes) = (0, 0);
        for path in files(&fewest)? {
            let input = fs::read(&path).map_err(failed)?;
            if let (Some(name), false) = (path.file_name(), seeds.contains(&input)) {
                fs::write(kept.join(name), &input).map_err(failed)?;
                (count, bytes) = (count + 1, bytes + input.len());
            }
        }
        println!("kept beside the seeds: {count} inputs, {bytes} bytes");
        Ok(())
    }
}

/// Prints what matters of libFuzzer's report.
fn summary(log: &str) {
    let of_interest =
        |line: &&str| line.contains("DONE") || line.starts_with("stat::number") || line.starts_with("stat::peak");
    for line in log.lines().filter(of_interest) {
        println!("   {}", line.trim_start_matches("stat::"));
    }
}
