-- Every change of an experiment's state, in the order in which they were committed: `seq` is the id of its event.
CREATE TABLE transitions (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment_id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    state         TEXT NOT NULL,
    attempt       BIGINT NOT NULL,
    at_us         BIGINT NOT NULL
);
CREATE INDEX transitions_by_experiment ON transitions (experiment_id, seq);

-- Of what was there before only where it stands is known.
INSERT INTO transitions (experiment_id, state, attempt, at_us)
SELECT id, state, attempt, COALESCE(finished_at_us, started_at_us, created_at_us) AS at_us FROM experiments
ORDER BY at_us, id;

-- By triggers, so that no way of changing a state is left out.
CREATE TRIGGER transition_of_new AFTER INSERT ON experiments BEGIN
    INSERT INTO transitions (experiment_id, state, attempt, at_us)
    VALUES (NEW.id, NEW.state, NEW.attempt, NEW.updated_at_us);
END;
CREATE TRIGGER transition_of_move AFTER UPDATE OF state ON experiments WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO transitions (experiment_id, state, attempt, at_us)
    VALUES (NEW.id, NEW.state, NEW.attempt, NEW.updated_at_us);
END;

-- Who wants to be told of an experiment's end. A try is claimed by moving the next one into the future, so that one
-- whose server dies is made again.
CREATE TABLE callbacks (
    experiment_id      TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    delivery_id        TEXT NOT NULL,
    url                TEXT NOT NULL,
    -- How its submitter reaches this service; what links begin with.
    link_base          TEXT NOT NULL,
    state              TEXT NOT NULL CHECK (state IN ('waiting', 'pending', 'delivered', 'failed')),
    attempts           BIGINT NOT NULL DEFAULT 0,
    last_status        BIGINT,
    last_error         TEXT,
    last_attempt_at_us BIGINT,
    next_attempt_at_us BIGINT
);
CREATE INDEX callbacks_due ON callbacks (next_attempt_at_us) WHERE state = 'pending';
