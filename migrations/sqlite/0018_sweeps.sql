-- One experiment many times over. `request` is what was asked for, as JSON, without the experiment itself, which may hold
-- prompts: those that came of it have them.
CREATE TABLE sweeps (
    id            TEXT PRIMARY KEY NOT NULL,
    request       TEXT NOT NULL,
    submitter     TEXT,
    created_at_us BIGINT NOT NULL
);

-- Each run of each point. Points that are equal once they are resolved share their experiments.
CREATE TABLE sweep_runs (
    sweep_id      TEXT NOT NULL REFERENCES sweeps (id),
    point         BIGINT NOT NULL,
    repeat_number BIGINT NOT NULL,
    experiment_id TEXT NOT NULL REFERENCES experiments (id),
    PRIMARY KEY (sweep_id, point, repeat_number)
);
