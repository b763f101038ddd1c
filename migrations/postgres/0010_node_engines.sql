-- Which engines a node can start, as JSON: an array of what each program says of itself. A server before this version
-- writes none; what it has built in is the default.
ALTER TABLE nodes ADD COLUMN engines TEXT NOT NULL DEFAULT
    '[{"name":"mistral","version":"0.1.0","engine_version":"0.8.1","features":[],"compiled_cpu_features":[],"protocol_version":1}]';
