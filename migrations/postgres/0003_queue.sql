-- The queue is the experiments that are 'queued'. Looking at it reads only the index experiments_waiting and the table
-- lanes: a row of experiments may hold megabytes of prompts.

-- "Now" by the database's clock, microseconds since 1970: leases are timed by one clock alone.
CREATE VIEW database_clock (now_us) AS SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT);

-- What a node must have to run an experiment (src/experiment/needs.rs), once for all that need the same; the lane is
-- its SHA-256.
CREATE TABLE lanes (
    lane  TEXT COLLATE "C" PRIMARY KEY,
    needs TEXT NOT NULL
);

-- No lane: stored by an earlier version, to be filled in from the spec.
ALTER TABLE experiments ADD COLUMN lane TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE experiments ADD COLUMN user_name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE experiments ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
-- How often its server went away; `attempt` counts claims and is what fences.
ALTER TABLE experiments ADD COLUMN interruptions BIGINT NOT NULL DEFAULT 0;
-- Of the present or last attempt.
ALTER TABLE experiments ADD COLUMN node_name TEXT;
ALTER TABLE experiments ADD COLUMN gpus TEXT;
UPDATE experiments SET interruptions = attempt WHERE state = 'queued';
UPDATE experiments SET interruptions = attempt - 1 WHERE state IN ('starting', 'warming_up', 'measuring', 'aggregating');
CREATE INDEX experiments_waiting ON experiments (lane, user_name, priority DESC, id) WHERE state = 'queued';

-- One row for each experiment that runs, narrow, since it is renewed all the time.
CREATE TABLE leases (
    experiment_id       TEXT COLLATE "C" PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
    attempt             BIGINT NOT NULL,
    -- The life of a server: nodes.incarnation.
    holder              TEXT NOT NULL,
    node_name           TEXT NOT NULL,
    lease_until_us      BIGINT NOT NULL,
    is_cancel_requested BIGINT NOT NULL DEFAULT 0,
    user_name           TEXT NOT NULL,
    device_count        BIGINT NOT NULL,
    claimed_at_us       BIGINT NOT NULL
);
CREATE INDEX leases_by_holder ON leases (holder);

-- Device time of finished attempts by user and hour (of 1970), for the fair share.
CREATE TABLE device_time (
    user_name TEXT COLLATE "C" NOT NULL,
    hour      BIGINT NOT NULL,
    device_us BIGINT NOT NULL,
    PRIMARY KEY (user_name, hour)
);

CREATE TABLE nodes (
    name             TEXT COLLATE "C" PRIMARY KEY,
    -- One life of one server; a restart has another.
    incarnation      TEXT NOT NULL,
    -- The lock that its server holds: who gets the same one knows that it is dead.
    seat             TEXT NOT NULL,
    -- What it has (src/experiment/offer.rs).
    offer            TEXT NOT NULL,
    registered_at_us BIGINT NOT NULL,
    heartbeat_at_us  BIGINT NOT NULL,
    alive_until_us   BIGINT NOT NULL
);
