//! Options on storage, models and engines.

use std::path::{Path, PathBuf};

use super::{Listen, option::section};

section! {
    /// Options on the address, the database, files and engines.
    pub struct Service with ServiceFlags {
        /// Address and port of the HTTP API, or unix:/PATH.
        ///
        /// unix:/PATH is a socket for its owner and its group. In a folder with the set-group-ID bit it gets the group
        /// of the folder, so that only a proxy in that group can use it.
        listen: String as Listen = "127.0.0.1:8080";

        /// Database: sqlite://PATH or postgres://….
        ///
        /// DATABASE_URL is read if JOULEMARK_DATABASE_URL is not set.
        database_url: String = "sqlite://joulemark.db", also "DATABASE_URL";

        /// Folder for results that wait while the database is unavailable [default: beside the database].
        ///
        /// Use another disk than the database's, which may be full. The default is `<file>.spool` beside an SQLite
        /// file, and `./joulemark-<node_name>.spool` for Postgres. Two servers need different folders.
        spool_dir: PathBuf = "";

        /// Days to keep raw data; 0 keeps it forever.
        ///
        /// Raw data is the time series, and the requests with their tokens. Results are always kept.
        retention_days: u32 = 0;

        /// Bytes of raw data to keep, oldest deleted first; 0 sets no limit.
        ///
        /// Counts the compressed size in the database.
        retention_bytes: u64 = 0;

        /// Days to keep the prompts of finished experiments; 0 keeps them forever.
        ///
        /// Their number and SHA-256 are kept, as are all results. Built-in and generated prompts are not affected.
        prompt_retention_days: u32 = 0;

        /// Days to keep the changes of state of finished experiments, which event streams replay; 0 keeps them forever.
        ///
        /// The last change of each experiment is always kept.
        event_retention_days: u32 = 90;

        /// Days to keep the audit log; 0 keeps it forever.
        audit_retention_days: u32 = 0;

        /// Folder of the models.
        ///
        /// A model_name cannot refer to a file outside it.
        models_dir: PathBuf = "./models";

        /// Folder of the files of prompts.
        ///
        /// Submissions name a file by `prompt_source`. It must be in JSON Lines, with at most max_body_bytes and
        /// max_prompts lines. A name cannot refer to a file outside the folder. Nodes that share a database need the
        /// same files.
        prompts_dir: PathBuf = "./prompts";

        /// Folder of the engine programs [default: beside this program].
        ///
        /// joulemark-mistral is searched for in it first, then beside this program and in ../libexec/joulemark from
        /// there.
        engine_dir: PathBuf = "";

        /// Accept Hugging Face IDs as model names, and download the models from the hub.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        allow_hub: bool = false;

        /// Accept model names `synthetic:…`, to test the service without a model.
        ///
        /// The synthetic engine generates a given number of tokens in a given time. With device cuda it leases the GPUs
        /// it names and not the CPU, even on a build without CUDA.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        allow_synthetic_engine: bool = false;
    }
}

impl Service {
    /// Returns the problem of the options, if any. The message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        let is_known = known.iter().any(|scheme| self.database_url.starts_with(scheme));
        (!is_known).then(|| "database_url is invalid; accepted are sqlite://PATH and postgres://…".to_owned())
    }

    /// Returns the folder for results that wait for the database; `None` for a database in memory.
    pub fn spool_folder(&self, node: &str) -> Option<PathBuf> {
        if !self.spool_dir.as_os_str().is_empty() {
            return Some(self.spool_dir.clone());
        }
        match self.database_url.strip_prefix("sqlite:") {
            None => {
                let name = node.replace(
                    |character: char| !character.is_alphanumeric() && !".-_".contains(character),
                    "_",
                );
                Some(PathBuf::from(format!("joulemark-{name}.spool")))
            }
            Some(_) => self.sqlite_file().map(|file| PathBuf::from(format!("{file}.spool"))),
        }
    }

    /// Returns the path of the SQLite database; `None` for one in memory and for Postgres.
    pub fn sqlite_file(&self) -> Option<&str> {
        let url = self.database_url.strip_prefix("sqlite:")?;
        let file = url.trim_start_matches("//").split('?').next().unwrap_or_default();
        (!file.is_empty() && !file.contains(":memory:")).then_some(file)
    }

    /// Returns the folder in which engines are searched for first.
    pub fn engine_folder(&self) -> Option<&Path> {
        (!self.engine_dir.as_os_str().is_empty()).then_some(self.engine_dir.as_path())
    }
}
