use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the service's program, built together with the running test or bench.
///
/// # Panics
/// Panics when it is missing, with the command that builds it.
pub fn program() -> PathBuf {
    built("joulemark")
}

/// Returns the program of the mistral.rs engine.
///
/// # Panics
/// Panics when it is missing, with the command that builds it, so that no test of a real model passes without it.
pub fn engine() -> PathBuf {
    built("joulemark-mistral")
}

/// Returns a folder for what tests build themselves, which is preserved between runs.
///
/// # Panics
/// Panics when it cannot be created.
pub fn scratch_folder() -> PathBuf {
    let folder = profile_folder().join("testkit");
    std::fs::create_dir_all(&folder).expect("a folder beside the programs");
    folder
}

/// Returns the command of a program that is installed on this host, or that `tests/run.sh` installed in `target/tools`.
///
/// # Panics
/// Panics when it is missing, with the Debian package to install, so that no test of another program passes without it.
pub fn installed(program: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/usr/bin");
    let mut folders = std::env::split_paths(&path).chain([tools]);
    match folders.find(|folder| folder.join(program).is_file()) {
        Some(folder) => Command::new(folder.join(program)),
        None => panic!("{program} is not installed; install it with: apt-get install {package}"),
    }
}

fn built(name: &str) -> PathBuf {
    let program = profile_folder().join(name);
    let profile = match profile_folder().ends_with("debug") {
        true => "",
        false => " --release",
    };
    assert!(
        program.is_file(),
        "{} is not there; build it with: cargo build{profile}",
        program.display()
    );
    program
}

/// Returns the folder of the programs: tests and benches are in `target/<profile>/deps`, the programs one folder above.
fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().expect("this program's path");
    own.ancestors().nth(2).expect("a folder above").to_owned()
}
