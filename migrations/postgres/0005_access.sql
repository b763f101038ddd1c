-- The authenticated name of who submitted it; null on a server without authentication.
ALTER TABLE experiments ADD COLUMN submitter TEXT;
CREATE INDEX experiments_by_submitter ON experiments (submitter, state);

-- The digest is SHA-256 of the whole key, hex; the key itself is nowhere.
CREATE TABLE api_keys (
    id              TEXT PRIMARY KEY NOT NULL,
    name            TEXT NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('reader', 'submitter', 'admin')),
    digest          TEXT NOT NULL,
    created_at_us   BIGINT NOT NULL,
    expires_at_us   BIGINT,
    revoked_at_us   BIGINT,
    last_used_at_us BIGINT
);

-- Who did what. The subject is an experiment's or a key's id, without a foreign key: the log outlives both.
CREATE TABLE audit_log (
    id      TEXT PRIMARY KEY NOT NULL,
    at_us   BIGINT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    name    TEXT,
    key_id  TEXT,
    address TEXT
);
