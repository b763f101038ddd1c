-- Whom a callback goes to: of those that are due, no host gets more than a share of what is tried at a time. Empty for
-- what was submitted before, which counts as one host until it is told.
ALTER TABLE callbacks ADD COLUMN host TEXT NOT NULL DEFAULT '';
