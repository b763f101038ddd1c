-- An experiment's labels once they were changed, as JSON; null while they are those of its spec.
ALTER TABLE experiments ADD COLUMN labels TEXT;

-- What limits by user count besides device time: the attempts that ended, those of them whose energy is known, and that
-- energy. Of hours from before this version nothing is known of either.
ALTER TABLE device_time ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device_time ADD COLUMN metered_attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device_time ADD COLUMN energy_j DOUBLE PRECISION NOT NULL DEFAULT 0;
