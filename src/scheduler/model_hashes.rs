//! What the files of a submission's model are, before anything is run.

use crate::scheduler::run::model_facts::facts_of;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::Spec;
use joulemark_experiment::report::ModelFacts;

impl Scheduler {
    /// Returns what there is to say of the model that an experiment would run on this node, with the hash of each of its files; these
    /// are read unless they were before.
    ///
    /// # Errors
    /// Says that the model is not here.
    pub async fn model_facts(&self, spec: &Spec) -> Result<ModelFacts, String> {
        let context = self.context();
        let models = context.resources.models.clone();
        let (name, server) = (spec.model_name.clone(), context.servers.get(&spec.engine).cloned());
        let located = tokio::task::spawn_blocking(move || models.locate_for(server.as_ref(), &name)).await;
        match located {
            Ok(Ok(located)) => Ok(facts_of(&located, &context.digests).await),
            Ok(Err(refusal)) => Err(format!(
                "cannot be compared, since the model is not on the node that was asked: it {refusal}"
            )),
            Err(_) => Err("cannot be compared: the server failed while it looked up the model".to_owned()),
        }
    }
}
