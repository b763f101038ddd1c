use std::path::{Path, PathBuf};

use super::{Listen, option::section};

section! {
    /// Where the server listens, what it stores and where, and what it runs.
    pub struct Service with ServiceFlags {
        /// Address and port of the HTTP API, or unix:/PATH.
        ///
        /// unix:/PATH is a socket that its owner and its group may use. That it has the group of its folder where the
        /// folder has the set-group-ID bit makes it a proxy's and nobody else's.
        listen: String as Listen = "127.0.0.1:8080";

        /// sqlite://PATH or postgres://….
        ///
        /// DATABASE_URL is read when JOULEMARK_DATABASE_URL is not set.
        database_url: String = "sqlite://joulemark.db", also "DATABASE_URL";

        /// Folder where ends of runs wait while the database is away [default: beside the database].
        ///
        /// Best on another disk than the database's, which may be what is full. Empty is `<file>.spool` beside an SQLite
        /// file, and `./joulemark-<node_name>.spool` with Postgres. Two servers need two folders.
        spool_dir: PathBuf = "";

        /// Days for which raw data is kept; 0 is for ever.
        ///
        /// Raw data is time series, and each request with its tokens; results are always kept.
        retention_days: u32 = 0;

        /// Bytes of raw data that are kept, the oldest dropped first; 0 is without bound.
        ///
        /// They count compressed, as they are stored.
        retention_bytes: u64 = 0;

        /// Days for which the prompts of finished experiments are kept; 0 is for ever.
        ///
        /// Their number and their hash stay, as all results do. Prompts of built-in sets, and those made from a seed, are
        /// not affected.
        prompt_retention_days: u32 = 0;

        /// Days for which the changes of state of finished experiments are kept, as event streams repeat them; 0 is for ever.
        ///
        /// The last change of each experiment stays.
        event_retention_days: u32 = 90;

        /// Days for which the audit log is kept; 0 is for ever.
        audit_retention_days: u32 = 0;

        /// Folder that holds the models.
        ///
        /// A model_name can never leave it.
        models_dir: PathBuf = "./models";

        /// Folder that holds files of prompts.
        ///
        /// Submissions name them by `prompt_source`: JSONL, with up to max_body_bytes and max_prompts lines. A name can
        /// never leave the folder. Nodes that share a database need the same files.
        prompts_dir: PathBuf = "./prompts";

        /// Folder that holds the engines [default: beside this program].
        ///
        /// It is looked in for joulemark-mistral before the places that are always looked in: beside this program, and
        /// ../libexec/joulemark from there.
        engine_dir: PathBuf = "";

        /// Accept Hugging Face ids as model names and fetch them from the hub.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        allow_hub: bool = false;

        /// Accept model names `synthetic:…`, for tests of the service itself.
        ///
        /// No model, known tokens in known time. With device cuda it leases the GPUs it names, and not the CPU, on a
        /// build without CUDA too.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        allow_synthetic_engine: bool = false;
    }
}

impl Service {
    /// What the types cannot say. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        let is_known = known.iter().any(|scheme| self.database_url.starts_with(scheme));
        (!is_known).then(|| "database_url is neither sqlite://PATH nor postgres://…".to_owned())
    }

    /// Where this node's ends of runs wait for the database; none for one in memory, which nothing outlives.
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

    /// Path of the SQLite database; none for one in memory and for Postgres.
    pub fn sqlite_file(&self) -> Option<&str> {
        let url = self.database_url.strip_prefix("sqlite:")?;
        let file = url.trim_start_matches("//").split('?').next().unwrap_or_default();
        (!file.is_empty() && !file.contains(":memory:")).then_some(file)
    }

    /// Where engines are looked for first.
    pub fn engine_folder(&self) -> Option<&Path> {
        (!self.engine_dir.as_os_str().is_empty()).then_some(self.engine_dir.as_path())
    }
}
