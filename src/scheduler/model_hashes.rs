//! Hashes the model files of a submission before it runs.

use crate::scheduler::run::digests::Hashes;
use crate::scheduler::run::model_facts::texts_of;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::Spec;

impl Scheduler {
    /// Returns the SHA-256 of each file of the model that an experiment would run on this node. Files without a cached
    /// hash are read, for one request at a time. While this node runs an experiment they are not read, since reading
    /// would disturb the measurement.
    ///
    /// # Errors
    /// Returns a message when the model is not on this node.
    pub async fn model_hashes(&self, spec: &Spec) -> Result<Hashes, String> {
        let context = self.context();
        let models = context.resources.models.clone();
        let (name, server) = (spec.model_name.clone(), context.servers.get(&spec.engine).cloned());
        let located = tokio::task::spawn_blocking(move || models.locate_for(server.as_ref(), &name)).await;
        let files = match located {
            Ok(Ok(located)) => located.files.clone(),
            Ok(Err(refusal)) => {
                return Err(format!(
                    "cannot be compared, since the model is not on the node that was asked: it {refusal}"
                ));
            }
            Err(_) => return Err("cannot be compared: the server failed while it looked up the model".to_owned()),
        };
        let Some(files) = files else {
            return Ok(Hashes::default());
        };
        let (scheduler, digests) = (self.clone(), context.digests.clone());
        // Held until the files are read, even when the client has gone away.
        let turn = digests.turn().await;
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let paths = [files.files.clone(), texts_of(&files)].concat();
            digests.compute_while(&paths, || scheduler.running_count() == 0)
        });
        let failed = |_| "cannot be compared: the server failed while it read the model's files".to_owned();
        hashed.await.map_err(failed)
    }
}
