//! How a server reaches Postgres: over TLS, and through a pooler.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::{Uid, User};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::front::certificate::Certificate;
use crate::installed;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

fn quick() -> Value {
    json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 2, "num_cycles": 1,
           "warmup_iterations": 0, "idle_baseline_sec": 0})
}

/// PostgreSQL and pgbouncer take no file of another user's, and run as no root.
fn give_away(path: &Path) {
    if let Some(owner) = User::from_name("postgres")
        .unwrap()
        .filter(|_| Uid::effective().is_root())
    {
        chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    }
}

/// Of the loopback network and a test's own, so that PostgreSQL's usual port is free.
fn own_address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!("127.{}.{}.{}", 1 + count, 1 + pid / 250 % 250, 1 + pid % 250)
}

struct WithTls {
    cluster: PostgresCluster,
    address: String,
    folder: tempfile::TempDir,
}

impl WithTls {
    fn start() -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), own_address());
        let certificate = Certificate::make("localhost", folder.path());
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        give_away(&certificate.key);
        let mut cluster = PostgresCluster::start();
        cluster.stop();
        cluster.start_again_with(&[
            format!("listen_addresses={address}").as_str(),
            "ssl=on",
            format!("ssl_cert_file={}", certificate.certificate.display()).as_str(),
            format!("ssl_key_file={}", certificate.key.display()).as_str(),
        ]);
        Self {
            cluster,
            address,
            folder,
        }
    }

    fn url(&self, parameters: &str) -> String {
        format!("postgres://postgres@{}/postgres?{parameters}", self.address)
    }

    /// Returns whether each connection that came by the network is encrypted.
    async fn encrypted(&self) -> Vec<bool> {
        let mut connection = PgConnection::connect(&self.cluster.url()).await.unwrap();
        let text =
            "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.client_addr IS NOT NULL";
        let rows = sqlx::query(text).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get("ssl")).collect()
    }
}

#[tokio::test]
async fn postgres_over_tls_is_reached_with_the_certificate_checked_as_the_url_says() {
    let postgres = WithTls::start();
    let authority = postgres.folder.path().join("authority.pem");
    let checked = format!("sslmode=verify-ca&sslrootcert={}", authority.display());
    for parameters in ["sslmode=require", &checked, ""] {
        let folder = tempfile::tempdir().unwrap();
        let url = postgres.url(parameters);
        let server = Server::start_in(folder.path(), &["--allow-synthetic-engine", "--database-url", &url]);
        let id = server.accepted(&quick()).await;
        server.until_state(&id, "completed").await;
        let encrypted = postgres.encrypted().await;
        assert!(
            !encrypted.is_empty() && encrypted.iter().all(|is| *is),
            "{parameters}: {encrypted:?}"
        );
    }
    // The certificate is of localhost and 127.0.0.1, and of an authority that nobody knows.
    let full = format!("sslmode=verify-full&sslrootcert={}", authority.display());
    for parameters in [full.as_str(), "sslmode=verify-ca"] {
        let said = refused(&postgres.url(parameters));
        assert!(said.contains("certificate"), "{parameters}: {said}");
    }
}

#[tokio::test]
async fn postgres_without_tls_is_refused_where_the_url_requires_it() {
    let mut cluster = PostgresCluster::start();
    cluster.stop();
    let address = own_address();
    cluster.start_again_with(&[format!("listen_addresses={address}").as_str()]);
    let said = refused(&format!("postgres://postgres@{address}/postgres?sslmode=require"));
    assert!(
        said.to_lowercase().contains("tls") || said.to_lowercase().contains("ssl"),
        "{said}"
    );
}

/// What a server says that does not start with this database.
fn refused(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_joulemark"))
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", url, "--lock-dir"])
        .arg(folder.path().join("locks"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A pooler before a cluster, at a socket of its own.
struct Pooler {
    child: Child,
    folder: tempfile::TempDir,
}

impl Pooler {
    fn start(cluster: &PostgresCluster, mode: &str) -> Self {
        installed("pgbouncer", "pgbouncer");
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let socket = cluster.url().split_once("?host=").unwrap().1.to_owned();
        let here = folder.path().display();
        let configuration = format!(
            "[databases]\npostgres = host={socket} dbname=postgres user=postgres\n[pgbouncer]\nlisten_addr =\n\
             unix_socket_dir = {here}\nlisten_port = 6432\nauth_type = any\npool_mode = {mode}\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).unwrap();
        give_away(&file);
        let mut command = Command::new("pgbouncer");
        if Uid::effective().is_root() {
            command.args(["-u", "postgres"]);
        }
        let child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Self { child, folder };
        for _ in 0..600 {
            if pooler.folder.path().join(".s.PGSQL.6432").exists() {
                return pooler;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("pgbouncer does not start");
    }

    fn url(&self) -> String {
        format!(
            "postgres://postgres@localhost:6432/postgres?host={}",
            self.folder.path().display()
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_pooler_that_changes_connections_is_refused_and_one_that_keeps_them_is_not() {
    let cluster = PostgresCluster::start();
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(&cluster, mode);
        let said = refused(&pooler.url());
        assert!(said.contains("pool_mode = session"), "{mode}: {said}");
    }
    let pooler = Pooler::start(&cluster, "session");
    let folder = tempfile::tempdir().unwrap();
    let url = pooler.url();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine", "--database-url", &url]);
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
}
