//! A joulemark server that sees a separate host, with its own GPUs, locks and models.

use std::path::Path;

use crate::mock_nvml::MockNvml;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

/// A simulated host.
pub struct Host {
    folder: tempfile::TempDir,
    /// The mock library is removed when this is dropped.
    _mock: MockNvml,
    name: String,
    options: Vec<String>,
}

/// The database of the experiments.
#[derive(Clone, Copy)]
pub enum Database<'a> {
    /// A file next to the server.
    Sqlite,
    Postgres(&'a PostgresCluster),
}

impl Host {
    /// Creates the host `number`, with `gpus` GPUs whose UUIDs no other host has.
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

    /// Starts a server on this host.
    pub fn start(&self) -> Server {
        let options = self.options.iter().map(String::as_str).collect::<Vec<_>>();
        Server::start_in(self.folder.path(), &options)
    }

    /// Returns the name of the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the folder of the device locks.
    pub fn locks(&self) -> std::path::PathBuf {
        self.path().join("locks")
    }

    /// Returns the folder of the host.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
