-- Lists are narrowed by the engine as by the model. A spec from before there were engines names none and is shown as
-- mistral's.
ALTER TABLE experiments ADD COLUMN engine TEXT NOT NULL DEFAULT 'mistral';
-- As text: a spec may hold \u0000, which json refuses. It stands behind the two names, so that a label of this name, which
-- comes later, is not taken for it.
UPDATE experiments SET engine =
    ('"' || substring(spec from '^\{"config_name":"(?:[^"\\]|\\.)*","model_name":"(?:[^"\\]|\\.)*","engine":"((?:[^"\\]|\\.)*)"') || '"')::json #>> '{}'
    WHERE spec ~ '^\{"config_name":"(?:[^"\\]|\\.)*","model_name":"(?:[^"\\]|\\.)*","engine":"(?:[^"\\]|\\.)*"';
CREATE INDEX experiments_by_engine ON experiments (engine, id);
CREATE INDEX experiments_by_engine_and_finish ON experiments (engine, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
