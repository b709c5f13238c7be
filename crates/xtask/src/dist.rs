//! `cargo xtask dist`: the binary that users get, static and small.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::{elf, workspace};

/// The target is named even though it is the host's, so that the flags below do not reach build scripts and procedural macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Static, and at a fixed address as other static programs (those of Go, for one): moving itself to a random one before `main` would
/// write to a hundred kilobytes, which costs a tenth of the start and stays resident.
/// Functions that came out the same, such as one generic one for several types, are kept once.
const FLAGS: [&str; 3] = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "-Clink-arg=-Wl,--icf=all"];

/// The whole binary, everything in, in bytes.
const SIZE_LIMIT: u64 = 8_000_000;

/// Builds, checks and copies the binary; returns where it is.
pub(crate) fn dist() -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "pilotfish", "--bin", "pilotfish", "--target", TARGET]);
    let flags: Vec<OsString> = FLAGS.iter().map(OsString::from).chain(short_paths()).collect();
    workspace::run(cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f"))))?;
    let built = workspace::target_dir().join(TARGET).join("release/pilotfish");
    let file = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    check(&file)?;
    if let Some(place) = registries() {
        ensure!(!names(&file, &place), "the binary names {}: a user must not see where it was built", place.display());
    }

    let place = workspace::target_dir().join("dist/pilotfish");
    fs::create_dir_all(place.parent().expect("it ends in dist/pilotfish"))
        .context("cannot create the dist directory")?;
    // Not over the old file: that may be running.
    let fresh = place.with_extension("new");
    fs::copy(&built, &fresh)
        .and_then(|_| fs::rename(&fresh, &place))
        .with_context(|| format!("cannot write {}", place.display()))?;
    let size = file.len();
    println!("{}: {size} bytes ({:.2} MiB), static; limit {SIZE_LIMIT} bytes", place.display(), mebibytes(size));
    Ok(place)
}

/// Where cargo keeps the sources of dependencies: a folder for each registry.
fn registries() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("registry/src"))
}

/// Panics name source files: those of dependencies without the folder in which this machine keeps them, which says nothing to users, and would make
/// the binary differ from one home to the next.
fn short_paths() -> Vec<OsString> {
    let folders = registries().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
    let shorten = |registry: PathBuf| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(registry);
        flag.push("/=");
        flag
    };
    folders.flatten().map(|registry| shorten(registry.path())).collect()
}

/// Whether a path is somewhere in a file.
fn names(file: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    file.windows(path.len()).any(|window| window == path)
}

fn check(file: &[u8]) -> Result<()> {
    let linkage = elf::linkage(file).context("the built binary is odd")?;
    if !linkage.is_static() {
        bail!("the binary is not static: {linkage:?}");
    }
    let size = file.len();
    if u64::try_from(size)? > SIZE_LIMIT {
        bail!(
            "the binary has {size} bytes ({:.2} MiB), over the limit of {SIZE_LIMIT}; `cargo bloat --release --crates` says whose they are",
            mebibytes(size)
        );
    }
    Ok(())
}

fn mebibytes(bytes: usize) -> f64 {
    // Exact up to 2^53 bytes.
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_is_refused() {
        let this = fs::read(std::env::current_exe().expect("a test has a path")).expect("it is readable");
        let error = check(&this).expect_err("this test is dynamic");
        assert!(error.to_string().contains("not static"), "{error}");
    }

    #[test]
    fn a_path_in_a_binary_is_found() {
        let file = b"\x7fELF at /home/me/.cargo/registry";
        assert!(names(file, Path::new("/home/me/.cargo")));
        assert!(!names(file, Path::new("/home/you/.cargo")));
    }

    #[test]
    fn a_large_binary_is_refused() {
        // The smallest static ELF file: a header that says that there are no program headers; then ballast.
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(64, 0);
        assert!(check(&file).is_ok());
        file.resize(8_500_001, 0);
        assert!(check(&file).expect_err("too large").to_string().contains("8500001 bytes"));
    }
}
