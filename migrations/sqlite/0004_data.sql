-- What lists are narrowed by. Ids sort by age, so an index that ends in the id makes a page one short walk along it.
ALTER TABLE experiments ADD COLUMN model_name TEXT NOT NULL DEFAULT '';
UPDATE experiments SET model_name = json_extract(spec, '$.model_name');
CREATE INDEX experiments_by_model ON experiments (model_name, id);
CREATE INDEX experiments_by_user ON experiments (user_name, id);

-- The key is taken before its experiment is there, in the same transaction: hence deferred.
CREATE TABLE idempotency_keys (
    idempotency_key TEXT PRIMARY KEY NOT NULL,
    body_sha256     TEXT NOT NULL,
    experiment_id   TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    expires_at_us   BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at_us);
CREATE INDEX idempotency_keys_by_experiment ON idempotency_keys (experiment_id);

-- The report, deflated (src/store/packed.rs); `report` is empty then. Of earlier releases it is the text itself.
ALTER TABLE reports ADD COLUMN packed BLOB;

-- Raw data is what retention may drop. `stored_bytes` is the size of its blocks, 0 once they are dropped.
CREATE TABLE raw_data (
    experiment_id TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    stored_at_us  BIGINT NOT NULL,
    stored_bytes  BIGINT NOT NULL,
    dropped_at_us BIGINT
);
CREATE INDEX raw_data_by_age ON raw_data (stored_at_us, experiment_id) WHERE dropped_at_us IS NULL;

-- Columns of compressed numbers (src/store/raw/block.rs). A stream is `device/POSITION` or `requests/CYCLE/RANK`.
CREATE TABLE raw_blocks (
    experiment_id TEXT NOT NULL REFERENCES raw_data (experiment_id) ON DELETE CASCADE,
    stream        TEXT NOT NULL,
    block         BIGINT NOT NULL,
    points        BIGINT NOT NULL,
    columns       BLOB NOT NULL,
    PRIMARY KEY (experiment_id, stream, block)
);

-- Of earlier releases series stand as JSON in device_series, requests within rank_cycles; retention takes both, and
-- counts the series.
INSERT INTO raw_data (experiment_id, stored_at_us, stored_bytes)
    SELECT e.id, COALESCE(e.finished_at_us, e.updated_at_us),
        COALESCE((SELECT SUM(LENGTH(d.series)) FROM device_series d WHERE d.experiment_id = e.id), 0)
    FROM experiments e
    WHERE EXISTS (SELECT 1 FROM timeseries t WHERE t.experiment_id = e.id)
        OR EXISTS (SELECT 1 FROM rank_cycles r WHERE r.experiment_id = e.id);
