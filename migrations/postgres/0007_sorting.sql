-- What lists are sorted by besides age. Only what is finished is in these indexes, so that a submission writes none of
-- them; each ends in the id, which makes an order of those that finished in the same microsecond.
CREATE INDEX experiments_by_finish ON experiments (finished_at_us, id) WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_state_and_finish ON experiments (state, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_model_and_finish ON experiments (model_name, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_user_and_finish ON experiments (user_name, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_submitter_and_finish ON experiments (submitter, finished_at_us, id)
    WHERE submitter IS NOT NULL AND finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_submitter_and_age ON experiments (submitter, id) WHERE submitter IS NOT NULL;

-- A copy of the experiment's, so that those of a label are had in this order without sorting them.
ALTER TABLE experiment_labels ADD COLUMN finished_at_us BIGINT;
UPDATE experiment_labels SET finished_at_us =
    (SELECT e.finished_at_us FROM experiments e WHERE e.id = experiment_labels.experiment_id);
CREATE INDEX experiment_labels_by_finish ON experiment_labels (label, value, finished_at_us, experiment_id)
    WHERE finished_at_us IS NOT NULL;
