//! The SQLite file beneath a running server, and who else may open or read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

fn quick() -> Value {
    json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "num_cycles": 1,
           "warmup_iterations": 0, "idle_baseline_sec": 0})
}

async fn assert_refused(server: &Server) {
    let (status, problem) = server.submit(&quick()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem:#}");
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains("moved away or replaced"), "{said}");
    let folder = server.folder.to_str().unwrap();
    assert!(!said.contains(folder), "no path of the server's: {said}");
    let (status, problem) = server.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem:#}");
    assert_eq!(problem["detail"].as_str().unwrap(), said);
}

#[tokio::test]
async fn a_database_file_that_is_moved_away_is_said_to_be_and_nothing_is_accepted_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let before = server.accepted(&quick()).await;
    let (file, moved) = (folder.path().join("joulemark.db"), folder.path().join("moved.db"));
    std::fs::rename(&file, &moved).unwrap();
    assert_refused(&server).await;
    std::fs::copy(&moved, &file).unwrap();
    assert_refused(&server).await;
    std::fs::rename(&moved, &file).unwrap();
    assert_eq!(server.get("/readyz").await.0, StatusCode::OK, "it is back");
    let after = server.accepted(&quick()).await;
    server.until_state(&after, "completed").await;
    drop(server);
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    for id in [&before, &after] {
        server.until_state(id, "completed").await;
    }
}

#[tokio::test]
async fn a_database_file_that_is_deleted_is_said_to_be() {
    let server = Server::start();
    std::fs::remove_file(server.folder.join("joulemark.db")).unwrap();
    assert_refused(&server).await;
}

fn serve(database: &Path, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url"])
        .arg(format!("sqlite://{}", database.display()))
        .arg("--lock-dir")
        .arg(folder.join("other-locks"))
        .output()
        .unwrap()
}

#[tokio::test]
async fn a_second_server_that_opens_the_file_by_another_name_is_refused() {
    let server = Server::start();
    let path = |name: &str| server.folder.join(name);
    std::os::unix::fs::symlink("joulemark.db", path("symbolic.db")).unwrap();
    std::fs::hard_link(path("joulemark.db"), path("hard.db")).unwrap();
    for name in ["hard.db", "joulemark.db"] {
        let output = serve(&path(name), &server.folder);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains("another joulemark server"),
            "{name}: {said}"
        );
    }
    let said = serve(&path("symbolic.db"), &server.folder).stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("symbolic.db") && said.contains("a symbolic link in its place"),
        "{said}"
    );
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_database_its_backup_and_the_spool_are_their_owners_alone() {
    let server = Server::start();
    let path = |name: &str| server.folder.join(name);
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    let backup = Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["db", "backup"])
        .arg(path("copy.db"))
        .arg("--database-url")
        .arg(format!("sqlite://{}", path("joulemark.db").display()))
        .output()
        .unwrap();
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    for file in [
        "joulemark.db",
        "joulemark.db-wal",
        "joulemark.db-shm",
        "copy.db",
        "joulemark.db.spool/lock",
    ] {
        assert_eq!(mode(&path(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&path("joulemark.db.spool")), 0o700);
}
