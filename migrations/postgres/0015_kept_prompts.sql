-- How many bytes the specs of each submitter take, prompts above all: what the limit of one is held against.
CREATE TABLE stored_bytes (
    submitter TEXT PRIMARY KEY NOT NULL,
    bytes     BIGINT NOT NULL
);
INSERT INTO stored_bytes (submitter, bytes)
SELECT submitter, SUM(OCTET_LENGTH(spec)) FROM experiments WHERE submitter IS NOT NULL GROUP BY submitter;

-- Whether texts of its own stand in the spec, which retention may drop once it is finished; and what was dropped, as JSON
-- (joulemark_experiment::DroppedPrompts).
ALTER TABLE experiments ADD COLUMN has_prompts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE experiments ADD COLUMN dropped_prompts TEXT;
-- Not as JSON, which has no text with a NUL here. Within a text the quotation marks would be escaped.
UPDATE experiments SET has_prompts = 1 WHERE spec LIKE '%"prompts":[%';
CREATE INDEX experiments_with_prompts ON experiments (finished_at_us, id)
    WHERE has_prompts = 1 AND finished_at_us IS NOT NULL;

-- Up to which finished experiment the log of changes was pruned.
CREATE TABLE pruned_transitions (
    finished_at_us BIGINT NOT NULL,
    experiment_id  TEXT NOT NULL
);
INSERT INTO pruned_transitions (finished_at_us, experiment_id) VALUES (0, '');
