//! The database goes away, or its disk is full, while an experiment runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

/// About four seconds of decoding.
fn running() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=40", "prompts": ["a"], "max_output_tokens": 30, "warmup_iterations": 0,
        "num_cycles": 3, "idle_baseline_sec": 0,
    })
}

/// A submission is refused as one to be sent again.
async fn assert_unavailable(server: &Server, expected: &str) {
    let answer = server
        .post("/v1/experiments", "application/json", running().to_string())
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
    let problem: Value = answer.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(expected), "{problem:#}");
}

fn spooled(spool: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(spool).unwrap().flatten().map(|file| file.path());
    let ends = files.filter(|path| path.extension().is_some_and(|suffix| suffix == "json"));
    ends.collect()
}

async fn until_spooled(spool: &Path, server: &Server) {
    for _ in 0..1200 {
        if !spooled(spool).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing was spooled\n{}", server.log());
}

async fn assert_whole(server: &Server, id: &str) {
    let shown = server.until_state(id, "completed").await;
    assert_eq!(shown["attempt"], 1, "it ran once: {shown:#}");
    let (status, results) = server.get(&format!("/v1/experiments/{id}/results")).await;
    assert_eq!(
        (status, &results["inference"]["output_tokens"]),
        (StatusCode::OK, &json!(90))
    );
    let (_, processes) = server.get(&format!("/v1/experiments/{id}/processes")).await;
    let requests = processes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["requests"][0]);
    let tokens = requests.map(|request| request["token_monotonic_sec"].as_array().unwrap().len());
    assert_eq!(tokens.collect::<Vec<_>>(), [30, 30, 30]);
    let (status, _) = server.get(&format!("/v1/experiments/{id}/timeseries")).await;
    assert_eq!(status, StatusCode::OK);
}

/// A run on Postgres, measuring, and where its end will wait.
struct Scene {
    cluster: PostgresCluster,
    folder: tempfile::TempDir,
    spool: PathBuf,
    server: Server,
    id: String,
}

impl Scene {
    async fn measuring() -> Self {
        let cluster = PostgresCluster::start();
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        let server = serve(&cluster, folder.path(), &spool);
        let id = server.accepted(&running()).await;
        server.until_state(&id, "measuring").await;
        Self {
            cluster,
            folder,
            spool,
            server,
            id,
        }
    }
}

fn serve(cluster: &PostgresCluster, folder: &Path, spool: &Path) -> Server {
    let (url, spool) = (cluster.url(), spool.to_str().unwrap());
    let options = ["--allow-synthetic-engine", "--database-url", &url, "--spool-dir", spool];
    Server::start_in(folder, &options)
}

#[tokio::test]
async fn what_ends_while_postgres_is_away_is_stored_once_it_is_back() {
    let mut scene = Scene::measuring().await;
    scene.cluster.stop();
    assert_unavailable(&scene.server, "cannot be reached").await;
    until_spooled(&scene.spool, &scene.server).await;
    scene.cluster.start_again();
    assert_whole(&scene.server, &scene.id).await;
}

#[tokio::test]
async fn what_ends_while_postgres_is_away_is_stored_by_the_next_server() {
    let mut scene = Scene::measuring().await;
    scene.cluster.stop();
    until_spooled(&scene.spool, &scene.server).await;
    scene.server.kill();
    scene.cluster.start_again();
    let server = serve(&scene.cluster, scene.folder.path(), &scene.spool);
    assert_whole(&server, &scene.id).await;
    assert!(spooled(&scene.spool).is_empty());
}

/// PostgreSQL is made to say what it says when a table's file cannot grow.
#[tokio::test]
async fn what_ends_while_postgres_s_disk_is_full_is_stored_once_there_is_room() {
    let scene = Scene::measuring().await;
    let mut connection = PgConnection::connect(&scene.cluster.url()).await.unwrap();
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE 'could not extend file \"base/5/16384\": No space left on device' USING ERRCODE = 'disk_full'; \
         END $$; \
         CREATE TRIGGER full_disk BEFORE INSERT ON experiments EXECUTE FUNCTION full_disk(); \
         CREATE TRIGGER full_disk BEFORE INSERT ON reports EXECUTE FUNCTION full_disk();";
    sqlx::raw_sql(full).execute(&mut connection).await.unwrap();
    assert_unavailable(&scene.server, "the database's disk is full").await;
    until_spooled(&scene.spool, &scene.server).await;
    sqlx::raw_sql("DROP FUNCTION full_disk CASCADE")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_whole(&scene.server, &scene.id).await;
}

/// By a limit on the size of files, which needs no file system of its own: SQLite's log cannot grow, as on a full disk.
#[tokio::test]
async fn what_ends_while_the_disk_is_full_is_stored_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let spool = folder.path().join("joulemark.db.spool");
    let id = server.accepted(&running()).await;
    server.until_state(&id, "measuring").await;
    let limit = |pid: u32, bytes: &str| {
        let limited = Command::new("prlimit")
            .arg(format!("--pid={pid}"))
            .arg(format!("--fsize={bytes}:"))
            .status();
        assert!(limited.expect("prlimit is there").success());
    };
    let written = std::fs::metadata(folder.path().join("joulemark.db-wal")).unwrap().len();
    limit(server.pid(), &written.to_string());
    assert_unavailable(&server, "nothing was changed").await;
    until_spooled(&spool, &server).await;
    let (status, _) = server.get(&format!("/v1/experiments/{id}")).await;
    assert_eq!(status, StatusCode::OK, "what is stored can be read");
    limit(server.pid(), "unlimited");
    assert_whole(&server, &id).await;
    assert!(!server.accepted(&running()).await.is_empty());
    server.kill();
}
