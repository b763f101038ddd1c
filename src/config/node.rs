use std::{collections::BTreeMap, path::PathBuf};

use super::option::section;
use joulemark_measurement::quoted;

section! {
    /// This server among those that share the database, and how long what it runs may take.
    pub struct Node with NodeFlags {
        /// Name of this server among those that share the database [default: the host's name].
        ///
        /// Two servers on one host need two names.
        node_name: String = "";

        /// A label of this node, NAME=VALUE, that experiments may ask for; may be given several times.
        node_label: Vec<String> = [];

        /// Folder with this host's device locks, the same for all its servers [default: /run/lock/joulemark].
        ///
        /// All servers of the host must use the same one, whatever their database. Where /run/lock/joulemark cannot be
        /// written, empty takes joulemark-locks in the folder for temporary files.
        lock_dir: PathBuf = "";

        /// Seconds without a heartbeat after which a server counts as dead.
        ///
        /// What it ran goes back to the queue. The heartbeat comes three times as often.
        lease_sec: u32 = 30, at least 1;

        /// How often an experiment is run that crashes the server or whose end cannot be stored.
        ///
        /// The first run is included. A server that was stopped or killed, or whose host went away, does not count.
        max_attempts: u32 = 3, at least 1;

        /// Seconds a worker may take to load its model.
        load_timeout_sec: u32 = 1800, at least 1;

        /// Seconds a loaded worker may go without a new token.
        ///
        /// Then it counts as hung.
        stall_timeout_sec: u32 = 600, at least 1;

        /// Seconds an experiment may run in all.
        experiment_timeout_sec: u32 = 604800, at least 1;
    }
}

impl Node {
    /// What the types cannot say. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.node_name.chars().count() > 200 || self.node_name.chars().any(char::is_control) {
            problems.push("node_name is over 200 characters or has control characters".to_owned());
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

    /// The labels, by name.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let pairs = self.node_label.iter().filter_map(|label| label.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
