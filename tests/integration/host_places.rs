//! What others put into the places of the server on its host: links, pipes, sockets. Nothing is followed or waited for, and
//! the error names the place.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Far more than a start that is refused takes, and no end to one that hangs.
const PATIENCE: &str = "20";
const TIMED_OUT: i32 = 124;

struct Said {
    code: i32,
    text: String,
}

/// Runs the program, for a while at most.
fn run(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", PATIENCE])
        .arg(env!("CARGO_BIN_EXE_joulemark"));
    let output = command.args(arguments).current_dir(folder).output().expect("it starts");
    Said {
        code: output.status.code().unwrap_or(TIMED_OUT),
        text: [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat(),
    }
}

fn serve(folder: &Path, more: &[&str]) -> Said {
    let mut arguments = vec!["serve", "--database-url", "sqlite://own/joulemark.db"];
    if !more.contains(&"--lock-dir") {
        arguments.extend(["--lock-dir", "locks"]);
    }
    if !more.contains(&"--listen") {
        arguments.extend(["--listen", "127.0.0.1:0"]);
    }
    arguments.extend(more);
    run(folder, &arguments)
}

/// A folder with a place for each file of the server, and one that leads out of it.
fn places() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    for name in ["own", "outside", "locks"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    (folder, move |name: &str| root.join(name))
}

fn in_outside(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("outside")).unwrap().count()
}

#[test]
fn what_stands_in_a_place_of_the_servers_is_named_and_neither_followed_nor_waited_for() {
    for place in [
        "own/joulemark.db",
        "own/joulemark.db-wal",
        "own/joulemark.db.lock",
        "own/joulemark.db.spool",
        "own/joulemark.db.spool/lock",
        "own/joulemark.db.spool/crashes",
        "locks/host.lock",
    ] {
        for is_pipe in [true, false] {
            let (folder, path) = places();
            if place.contains(".spool/") {
                std::fs::create_dir(path("own/joulemark.db.spool")).unwrap();
                let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o700);
                std::fs::set_permissions(path("own/joulemark.db.spool"), owner_alone).unwrap();
            }
            let found = if is_pipe {
                mkfifo(&path(place), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
                "a named pipe"
            } else {
                symlink(path("outside/elsewhere"), path(place)).unwrap();
                "a symbolic link"
            };
            let said = serve(folder.path(), &[]);
            let name = place.rsplit('/').next().unwrap();
            assert!(said.code != TIMED_OUT && said.code != 0, "{place}: {}", said.text);
            assert!(
                said.text.contains(found) && said.text.contains(name),
                "{place}: {}",
                said.text
            );
            assert_eq!(in_outside(folder.path()), 0, "{place} was followed");
        }
    }
}

#[test]
fn a_folder_of_locks_or_a_socket_that_is_a_link_or_a_pipe_is_refused() {
    for is_pipe in [true, false] {
        let (folder, path) = places();
        let socket = format!("unix:{}", path("own/http.sock").display());
        for place in ["own/http.sock", "other-locks"] {
            if is_pipe {
                mkfifo(&path(place), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            } else {
                symlink(path("outside"), path(place)).unwrap();
            }
        }
        for arguments in [&["--listen", &socket][..], &["--lock-dir", "other-locks"]] {
            let said = serve(folder.path(), arguments);
            assert!(said.code != TIMED_OUT && said.code != 0, "{arguments:?}: {}", said.text);
            assert!(said.text.contains(arguments[1]), "{}", said.text);
        }
        assert_eq!(in_outside(folder.path()), 0);
    }
}

#[test]
fn a_pipe_in_place_of_a_file_that_is_read_hangs_nothing() {
    let (folder, path) = places();
    mkfifo(&path("pipe"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let secret = [
        "--auth",
        "keys",
        "--callback-allow",
        "hooks.example",
        "--callback-secret-file",
        "pipe",
    ];
    let unreachable = "postgres://127.0.0.1:1/away?sslmode=verify-full&sslrootcert=pipe";
    let server = "https://127.0.0.1:1";
    for arguments in [
        &["config", "--config", "pipe"][..],
        &["serve", "--config", "pipe"],
        &["list", "--server", server, "--retry-sec", "0", "--api-key-file", "pipe"],
        &["list", "--server", server, "--retry-sec", "0", "--cacert", "pipe"],
        &["db", "check", "--database-url", unreachable],
        &["db", "check", "--database-url", "sqlite://pipe"],
        &["flops", "pipe"],
    ] {
        let said = run(folder.path(), arguments);
        assert!(said.code != TIMED_OUT && said.code != 0, "{arguments:?}: {}", said.text);
        assert!(said.text.contains("pipe"), "{arguments:?}: {}", said.text);
    }
    let said = serve(folder.path(), &secret);
    assert!(said.code != TIMED_OUT && said.text.contains("pipe"), "{}", said.text);
}
