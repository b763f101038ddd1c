-- Times are microseconds since 1970, UTC. Documents are JSON. An id is a UUIDv7 in text: it sorts by age.
CREATE TABLE experiments (
    id                     TEXT PRIMARY KEY NOT NULL,
    state                  TEXT NOT NULL CHECK (state IN (
        'queued', 'starting', 'warming_up', 'measuring', 'aggregating', 'completed', 'failed', 'cancelled')),
    attempt                BIGINT NOT NULL DEFAULT 0,
    spec                   TEXT NOT NULL,
    warnings               TEXT NOT NULL,
    failure                TEXT,
    created_at_us          BIGINT NOT NULL,
    started_at_us          BIGINT,
    finished_at_us         BIGINT,
    cancel_requested_at_us BIGINT,
    updated_at_us          BIGINT NOT NULL
);
CREATE INDEX experiments_by_state ON experiments (state, id);

CREATE TABLE experiment_labels (
    experiment_id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    value         TEXT NOT NULL,
    PRIMARY KEY (experiment_id, label)
);
CREATE INDEX experiment_labels_by_value ON experiment_labels (label, value, experiment_id);

CREATE TABLE reports (
    experiment_id TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    report        TEXT NOT NULL
);

CREATE TABLE rank_cycles (
    experiment_id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    cycle         BIGINT NOT NULL,
    worker_rank   BIGINT NOT NULL,
    measurement   TEXT NOT NULL,
    PRIMARY KEY (experiment_id, cycle, worker_rank)
);
