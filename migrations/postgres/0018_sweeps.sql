-- One experiment many times over. `request` is what was asked for, as JSON, without the experiment itself, which may hold
-- prompts: those that came of it have them. `search` is how far the search for its goal has come; null without one.
CREATE TABLE sweeps (
    id              TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    request         TEXT NOT NULL,
    submitter       TEXT,
    request_id      TEXT,
    created_at_us   BIGINT NOT NULL,
    cancelled_at_us BIGINT,
    search_state    TEXT,
    search          TEXT
);

-- Each run of each point that was queued. Points that are equal once they are resolved share their experiments.
CREATE TABLE sweep_runs (
    sweep_id      TEXT COLLATE "C" NOT NULL REFERENCES sweeps (id),
    point         BIGINT NOT NULL,
    repeat_number BIGINT NOT NULL,
    experiment_id TEXT COLLATE "C" NOT NULL REFERENCES experiments (id),
    PRIMARY KEY (sweep_id, point, repeat_number)
);
CREATE INDEX sweep_runs_of_experiment ON sweep_runs (experiment_id);

-- Points that a search may queue yet; gone once it has ended.
CREATE TABLE sweep_plans (
    sweep_id TEXT COLLATE "C" NOT NULL REFERENCES sweeps (id),
    point    BIGINT NOT NULL,
    spec     TEXT NOT NULL,
    warnings TEXT NOT NULL,
    PRIMARY KEY (sweep_id, point)
);
