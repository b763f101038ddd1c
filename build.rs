//! Notes the commit that is built, for results to name. A build without a repository has it from `JOULEMARK_COMMIT`, or knows none.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=JOULEMARK_COMMIT");
    let commit = match std::env::var("JOULEMARK_COMMIT") {
        Ok(given) => Some(given),
        Err(_) => of_repository(),
    };
    // Cargo sets this for what it runs as well, and the program takes no variable of the environment that it does not know.
    println!("cargo:rustc-env=BUILT_COMMIT={}", commit.unwrap_or_default());
}

fn of_repository() -> Option<String> {
    // Every commit is written there. A folder of sources within another repository is not of its commits.
    if !std::path::Path::new(".git").exists() {
        return None;
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
