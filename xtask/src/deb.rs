//! The Debian package.

use std::path::PathBuf;

use crate::{
    apt,
    run::{Result, cargo, exists, programs, root, say},
};

/// The release of cargo-deb that the package's description is written for.
const CARGO_DEB: &str = "3.8.0";

fn install_cargo_deb() -> Result {
    if exists("cargo-deb") {
        return Ok(());
    }
    say("installing cargo-deb");
    cargo(&["install", "--locked", "--quiet", "--version", CARGO_DEB, "cargo-deb"])
}

/// Packs what `cargo build --workspace` has built, for the tests. cargo-deb warns that packages are for releases; the
/// release named above still packs other profiles.
pub(crate) fn of_development() -> Result<PathBuf> {
    install_cargo_deb()?;
    let path = programs()?.join("p2pusb.deb");
    let output = path.to_string_lossy().into_owned();
    cargo(&["deb", "--quiet", "--no-build", "--profile", "dev", "--package", "p2pusbd", "--output", &output])?;
    Ok(path)
}

/// Builds and packs a release.
pub(crate) fn release() -> Result<PathBuf> {
    apt::for_build()?;
    install_cargo_deb()?;
    cargo(&["build", "--release", "--package", "p2pusbd", "--package", "p2pusb"])?;
    let path = root().join("target/debian/p2pusb.deb");
    cargo(&["deb", "--no-build", "--package", "p2pusbd", "--output", &path.to_string_lossy()])?;
    Ok(path)
}
