//! Options of this server as a node.

use std::{collections::BTreeMap, path::PathBuf};

use super::option::section;
use joulemark_measurement::quoted;

section! {
    /// Options of this server as one of the nodes that share a database, and timeouts of its experiments.
    pub struct Node with NodeFlags {
        /// Name of this server, unique among those that share the database [default: the host's name].
        ///
        /// Two servers on one host need different names.
        node_name: String = "";

        /// Label of this node, NAME=VALUE, that experiments can require; may be given several times.
        node_label: Vec<String> = [];

        /// Folder for this host's device locks [default: /run/lock/joulemark].
        ///
        /// All servers of the host must use the same folder, also with different databases. If it is not set and
        /// /run/lock/joulemark cannot be written, joulemark-locks in the folder for temporary files is used.
        lock_dir: PathBuf = "";

        /// Seconds without a heartbeat after which a server counts as dead.
        ///
        /// Its experiments then return to the queue. A heartbeat is sent three times in this period.
        lease_sec: u32 = 30, at least 1;

        /// Maximum number of runs of an experiment that crashes the server or whose end cannot be stored.
        ///
        /// The first run is included. Runs ended by a server that was stopped or killed, or by the loss of its host, do
        /// not count.
        max_attempts: u32 = 3, at least 1;

        /// Timeout in seconds for a worker to load its model.
        load_timeout_sec: u32 = 1800, at least 1;

        /// Seconds without a new token after which a loaded worker counts as hung.
        ///
        /// Its experiment then fails.
        stall_timeout_sec: u32 = 600, at least 1;

        /// Timeout in seconds of a whole experiment.
        experiment_timeout_sec: u32 = 604800, at least 1;
    }
}

impl Node {
    /// Returns the problems of the options. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.node_name.chars().count() > 200 || self.node_name.chars().any(char::is_control) {
            problems.push(
                "node_name is invalid; accepted are at most 200 characters without control characters".to_owned(),
            );
        }
        for label in &self.node_label {
            let is_pair = |(name, value): (&str, &str)| !name.is_empty() && !value.is_empty();
            if !label.split_once('=').is_some_and(is_pair) {
                problems.push(format!(
                    "node_label has {label}; accepted is NAME=VALUE",
                    label = quoted(&label)
                ));
            }
        }
        problems
    }

    /// Returns the labels by name.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let pairs = self.node_label.iter().filter_map(|label| label.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
