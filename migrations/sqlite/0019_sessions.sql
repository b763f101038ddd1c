-- Who signed in to the pages. The digest is SHA-256 of what the browser has, hex; that itself is nowhere. What a session
-- may do is what its key may, and it ends with it.
CREATE TABLE sessions (
    id            TEXT PRIMARY KEY NOT NULL,
    digest        TEXT NOT NULL,
    key_id        TEXT NOT NULL REFERENCES api_keys (id),
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL
);
CREATE INDEX sessions_of_key ON sessions (key_id, created_at_us);
CREATE INDEX sessions_by_expiry ON sessions (expires_at_us);
