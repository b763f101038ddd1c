-- Devices over time. The window is CLOCK_MONOTONIC of the host that measured; a series is a compact JSON document of
-- about 20 bytes a sample (src/store/timeseries/columns.rs).
CREATE TABLE timeseries (
    experiment_id       TEXT COLLATE "C" PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
    start_monotonic_sec DOUBLE PRECISION NOT NULL,
    end_monotonic_sec   DOUBLE PRECISION NOT NULL,
    sample_interval_ms  DOUBLE PRECISION NOT NULL
);

CREATE TABLE device_series (
    experiment_id TEXT COLLATE "C" NOT NULL REFERENCES timeseries (experiment_id) ON DELETE CASCADE,
    position      BIGINT NOT NULL,
    series        TEXT NOT NULL,
    PRIMARY KEY (experiment_id, position)
);
