//! A joulemark server on a host of its own, as far as it can tell: GPUs, locks and models of its own.

use std::path::Path;

use crate::mock_nvml::MockNvml;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

pub struct Host {
    folder: tempfile::TempDir,
    /// Its library goes when it is dropped.
    _mock: MockNvml,
    name: String,
    options: Vec<String>,
}

/// Where the experiments are.
#[derive(Clone, Copy)]
pub enum Database<'a> {
    /// A file beside the server.
    Sqlite,
    Postgres(&'a PostgresCluster),
}

impl Host {
    /// Number `number`, with `gpus` GPUs whose UUIDs no other host has.
    pub fn new(number: u32, gpus: u32, database: Database<'_>, options: &[&str]) -> Self {
        let name = format!("host-{number}");
        let mut all = vec!["--allow-synthetic-engine", "--node-name", &name];
        let url = match database {
            Database::Sqlite => None,
            Database::Postgres(cluster) => Some(cluster.url()),
        };
        if let Some(url) = &url {
            all.extend(["--database-url", url]);
        }
        all.extend(options);
        let mock = MockNvml::new(&format!("devices={gpus}\nfirst_serial={}", 100 * number));
        let library = mock.library().to_string_lossy().into_owned();
        all.extend(["--nvml-lib", &library]);
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            options: all.into_iter().map(str::to_owned).collect(),
            name: name.clone(),
            _mock: mock,
        }
    }

    pub fn start(&self) -> Server {
        let options = self.options.iter().map(String::as_str).collect::<Vec<_>>();
        Server::start_in(self.folder.path(), &options)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn locks(&self) -> std::path::PathBuf {
        self.path().join("locks")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
