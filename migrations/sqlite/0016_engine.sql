-- Lists are narrowed by the engine as by the model. A spec from before there were engines names none and is shown as
-- mistral's; one that is no JSON any more keeps nothing from going on.
ALTER TABLE experiments ADD COLUMN engine TEXT NOT NULL DEFAULT 'mistral';
UPDATE experiments SET engine = json_extract(spec, '$.engine')
    WHERE CASE WHEN json_valid(spec) THEN json_extract(spec, '$.engine') IS NOT NULL ELSE FALSE END;
CREATE INDEX experiments_by_engine ON experiments (engine, id);
CREATE INDEX experiments_by_engine_and_finish ON experiments (engine, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
