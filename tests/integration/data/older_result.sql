BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'experiments','2026-11-30 09:59:43',1,X'365595A0CD2D539F147CE649A3E20937CAEF79D8876392D241B0D28682374C6EE1391B120728CC70FC40A4444AF4ABFC',1657405);
INSERT INTO "_sqlx_migrations" VALUES(2,'timeseries','2026-11-30 09:59:43',1,X'77D89BC13C6670BFF09559B9E9EE1BA28D9740270411B76468B2F7BA765D7F5CAFC24CEF6E5BAFDCBE9F258DDC03787F',14098944);
INSERT INTO "_sqlx_migrations" VALUES(3,'queue','2026-11-30 09:59:43',1,X'4A57ABFE37A8542FED7A74694A91789AA8B488104A2A8D899DA73C50D557F394D0BA081DCF92F1DF0BB5A2233DE3D401',3317646);
INSERT INTO "_sqlx_migrations" VALUES(4,'data','2026-11-30 09:59:43',1,X'82B36895A02C4F78365F8A40B042C6EEC54733526D0F4F0FDF59659D82BC4619DF6965903E79EA29524A622C7B6B75AD',2063780);
INSERT INTO "_sqlx_migrations" VALUES(5,'access','2026-11-30 09:59:43',1,X'0C5226195616B95721E67C75B8FC5AD15AC42D02DEBE459188343C0E22FACD18D517A725125DA6F66C799AC8D34AC4A0',1710645);
INSERT INTO "_sqlx_migrations" VALUES(6,'live','2026-11-30 09:59:43',1,X'7435372CC70F2DC387F361D8F0CD7BA07E77D74AC349F307D699E8855D3A847D45A7633D7867EE6F0E6F30F8F5592779',1318041);
INSERT INTO "_sqlx_migrations" VALUES(7,'sorting','2026-11-30 09:59:43',1,X'01C628AD77C90FDA8AF3D8DD5C6BF681474D24DB9E85858499AC848EEAD74377BDECED5235AE5C5A084EC65DF684C413',2147274);
INSERT INTO "_sqlx_migrations" VALUES(9,'arrival','2026-11-30 09:59:43',1,X'85462A41E95E1AE05BFFD693253DBB08BD1FDAD7F99231877E033B0BB8C5C53AEFFF168D640EF273DEF14EAAD3FE646E',1703514);
INSERT INTO "_sqlx_migrations" VALUES(10,'node engines','2026-11-30 09:59:43',1,X'DF88D884E45A6ACFD058852FDE491C51CD0A7A68F99AE85917F87D995B1579D80DCC44D1BE6F583566A18E6A931951CB',993578);
INSERT INTO "_sqlx_migrations" VALUES(12,'labels and usage','2026-11-30 09:59:43',1,X'AB7A1214DC879C18F544434368C21780414B9B785680FB61C1A72C47543938D13552ACC9FFD53BED3C40152DBCEE317F',2194454);
INSERT INTO "_sqlx_migrations" VALUES(14,'callback host','2026-11-30 09:59:43',1,X'740218636FA558362DC1444154219CF3D9282A3A800CB526111C8C59945A36B46F86B8FAF1E0A67826A959B4DF08AC80',1282758);
INSERT INTO "_sqlx_migrations" VALUES(15,'kept prompts','2026-11-30 09:59:43',1,X'AEAA9ACDDC7E7B1659A0C4C10F1F982AA04B9718D4C19AE2640F934D7F7109F0DF2E8F8DF21D81D45911E00ADC07E10B',2389935);
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
CREATE TABLE audit_log (
    id      TEXT PRIMARY KEY NOT NULL,
    at_us   BIGINT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    name    TEXT,
    key_id  TEXT,
    address TEXT
);
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
, host TEXT NOT NULL DEFAULT '');
CREATE TABLE device_series (
    experiment_id TEXT NOT NULL REFERENCES timeseries (experiment_id) ON DELETE CASCADE,
    position      BIGINT NOT NULL,
    series        TEXT NOT NULL,
    PRIMARY KEY (experiment_id, position)
);
INSERT INTO "device_series" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac',0,'{"gpu":null,"gpu_uuid":null,"zone":"host","zone_path":null,"points":[]}');
CREATE TABLE device_time (
    user_name TEXT NOT NULL,
    hour      BIGINT NOT NULL,
    device_us BIGINT NOT NULL, attempts BIGINT NOT NULL DEFAULT 0, metered_attempts BIGINT NOT NULL DEFAULT 0, energy_j DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (user_name, hour)
);
INSERT INTO "device_time" VALUES('',498898,1293421,1,1,3.76526592181030822503e-02);
CREATE TABLE experiment_labels (
    experiment_id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    value         TEXT NOT NULL, finished_at_us BIGINT,
    PRIMARY KEY (experiment_id, label)
);
INSERT INTO "experiment_labels" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','kept','yes',1796032800777938);
CREATE TABLE experiments (
    id                     TEXT PRIMARY KEY NOT NULL,
    state                  TEXT NOT NULL CHECK (state IN (
        'queued', 'starting', 'warming_up', 'measuring', 'aggregating', 'completed', 'failed', 'cancelled')),
    attempt                BIGINT NOT NULL DEFAULT 0,
    spec                   TEXT NOT NULL,
    warnings               TEXT NOT NULL,
    failure                TEXT,
    created_at_us          BIGINT NOT NULL,
    started_at_us          BIGINT,
    finished_at_us         BIGINT,
    cancel_requested_at_us BIGINT,
    updated_at_us          BIGINT NOT NULL
, lane TEXT NOT NULL DEFAULT '', user_name TEXT NOT NULL DEFAULT '', priority BIGINT NOT NULL DEFAULT 0, interruptions BIGINT NOT NULL DEFAULT 0, node_name TEXT, gpus TEXT, model_name TEXT NOT NULL DEFAULT '', submitter TEXT, request_id TEXT, traceparent TEXT, labels TEXT, has_prompts BIGINT NOT NULL DEFAULT 0, dropped_prompts TEXT);
INSERT INTO "experiments" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','completed',1,'{"config_name": "before-load", "model_name": "synthetic:prefill_ms=4,decode_ms=2", "prompts": ["one", "three"], "raw_prompt": false, "max_input_tokens": null, "max_output_tokens": 5, "min_output_tokens": 5, "decoder": {"temperature": 0.0, "do_sample": false, "top_k": null, "top_p": null, "repetition_penalty": null, "seed": null}, "num_processes": 1, "gpus": [], "gpu_count": 0, "device": "cpu", "distribution": "shard", "fp_precision": "auto", "quantization": null, "batch_size": 1, "warmup_iterations": 1, "num_cycles": 3, "idle_baseline_sec": 1, "isolation": "devices", "user": null, "priority": 0, "node": null, "node_labels": {}, "labels": {"kept": "yes"}}','[{"code":"few_warmups","message":"1 warm-up iterations; 3 to 5 are recommended"},{"code":"synthetic_engine","message":"run by the synthetic engine: no model, no real tokens, nothing to cite"}]',NULL,1796032799448000,1796032799484517,1796032800777938,NULL,1796032800777938,'50df8815d899e1b1f8902fee922a3379292e355d8889eb0f1b1270eb661ff511','',0,0,'lab-box','[]','synthetic:prefill_ms=4,decode_ms=2',NULL,'01a22be5-a2d7-73c0-b023-d076fabb39cd',NULL,NULL,1,NULL);
CREATE TABLE idempotency_keys (
    idempotency_key TEXT PRIMARY KEY NOT NULL,
    body_sha256     TEXT NOT NULL,
    experiment_id   TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    expires_at_us   BIGINT NOT NULL
);
CREATE TABLE lanes (
    lane  TEXT PRIMARY KEY NOT NULL,
    needs TEXT NOT NULL
);
INSERT INTO "lanes" VALUES('50df8815d899e1b1f8902fee922a3379292e355d8889eb0f1b1270eb661ff511','{"model_name":"synthetic:prefill_ms=4,decode_ms=2","engine":"synthetic","device":"cpu","num_processes":1,"gpu_count":0,"isolation":"devices"}');
CREATE TABLE leases (
    experiment_id       TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
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
CREATE TABLE nodes (
    name             TEXT PRIMARY KEY NOT NULL,
    -- One life of one server; a restart has another.
    incarnation      TEXT NOT NULL,
    -- The lock that its server holds: who gets the same one knows that it is dead.
    seat             TEXT NOT NULL,
    -- What it has (src/experiment/offer.rs).
    offer            TEXT NOT NULL,
    registered_at_us BIGINT NOT NULL,
    heartbeat_at_us  BIGINT NOT NULL,
    alive_until_us   BIGINT NOT NULL
, engines TEXT NOT NULL DEFAULT
    '[{"name":"mistral","version":"0.1.0","engine_version":"0.8.1","features":[],"compiled_cpu_features":[],"protocol_version":1}]');
CREATE TABLE pruned_transitions (
    finished_at_us BIGINT NOT NULL,
    experiment_id  TEXT NOT NULL
);
INSERT INTO "pruned_transitions" VALUES(0,'');
CREATE TABLE rank_cycles (
    experiment_id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    cycle         BIGINT NOT NULL,
    worker_rank   BIGINT NOT NULL,
    measurement   TEXT NOT NULL,
    PRIMARY KEY (experiment_id, cycle, worker_rank)
);
INSERT INTO "rank_cycles" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac',0,0,'{"rank": 0, "cycle": 0, "gpus": [], "window": {"start_monotonic_sec": 34486.667085016, "end_monotonic_sec": 34486.706611407}, "inference": {"total_tokens": 18, "input_tokens": 8, "output_tokens": 10, "inference_time_sec": 0.039526390995888505, "tokens_per_second": 252.99552395360837, "latency_per_token_ms": 3.9526390995888505, "mean_ttft_ms": 6.760259499999999, "mean_tpot_ms": 3.168140498928551, "median_itl_ms": 3.288872496341355, "p99_itl_ms": 3.3213323859672528}, "energy": {"total_energy_j": 0.013768643346239824, "gpu_energy_j": null, "cpu_energy_j": 0.013768643346239824, "dram_energy_j": null, "host_cpu_energy_j": 0.27593014977178143, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.2621615064255416, "gpu_power_w": null, "cpu_power_w": 0.34834051375123076, "duration_sec": 0.039526390995888505, "cpu_time_share": 0.04989901740577355, "baselines": [], "phases": [], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.27593014977178143, "mean_power_w": 6.9809092816109475, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 0, "interval_ms": null, "uncertainty_j": 0.21594950017599046, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "requests": []}');
INSERT INTO "rank_cycles" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac',1,0,'{"rank": 0, "cycle": 1, "gpus": [], "window": {"start_monotonic_sec": 34486.71020295, "end_monotonic_sec": 34486.746913491}, "inference": {"total_tokens": 18, "input_tokens": 8, "output_tokens": 10, "inference_time_sec": 0.03671054099686444, "tokens_per_second": 272.40132475449303, "latency_per_token_ms": 3.671054099686444, "mean_ttft_ms": 5.4380500000000005, "mean_tpot_ms": 3.152664875415212, "median_itl_ms": 3.2776709958852734, "p99_itl_ms": 3.3568223912880057}, "energy": {"total_energy_j": 0.011818900918313538, "gpu_energy_j": null, "cpu_energy_j": 0.011818900918313538, "dram_energy_j": null, "host_cpu_energy_j": 0.2560949305234459, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.24427602960513237, "gpu_power_w": null, "cpu_power_w": 0.3219484267290702, "duration_sec": 0.03671054099686444, "cpu_time_share": 0.04615046808679994, "baselines": [], "phases": [], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.2560949305234459, "mean_power_w": 6.976059833749652, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 0, "interval_ms": null, "uncertainty_j": 0.2004259856702288, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "requests": []}');
INSERT INTO "rank_cycles" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac',2,0,'{"rank": 0, "cycle": 2, "gpus": [], "window": {"start_monotonic_sec": 34486.750368171, "end_monotonic_sec": 34486.798604458}, "inference": {"total_tokens": 18, "input_tokens": 8, "output_tokens": 10, "inference_time_sec": 0.048236287002509926, "tokens_per_second": 207.31280580281108, "latency_per_token_ms": 4.8236287002509926, "mean_ttft_ms": 5.4682145, "mean_tpot_ms": 4.59572912495787, "median_itl_ms": 3.2989369974529836, "p99_itl_ms": 10.900524601893265}, "energy": {"total_energy_j": 0.012065114953549722, "gpu_energy_j": null, "cpu_energy_j": 0.012065114953549722, "dram_energy_j": null, "host_cpu_energy_j": 0.3307099268877636, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.31864481193421385, "gpu_power_w": null, "cpu_power_w": 0.25012528333538453, "duration_sec": 0.048236287002509926, "cpu_time_share": 0.03648246990071267, "baselines": [], "phases": [], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.3307099268877636, "mean_power_w": 6.856040284994478, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 1, "interval_ms": null, "uncertainty_j": 0.2588214570742587, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "requests": []}');
CREATE TABLE raw_blocks (
    experiment_id TEXT NOT NULL REFERENCES raw_data (experiment_id) ON DELETE CASCADE,
    stream        TEXT NOT NULL,
    block         BIGINT NOT NULL,
    points        BIGINT NOT NULL,
    columns       BLOB NOT NULL,
    PRIMARY KEY (experiment_id, stream, block)
);
INSERT INTO "raw_blocks" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','device/0',0,14,X'0101780087FF0ED2CAFFF78002D5B0F3F78002642573B802FD02D602A101CC02B904CE01FDFD01CFD00302001C0E986D193606025F2A517A1A84019503F0039B0302001C0ED6950CEA045F093E9701F50392048E01B708D208EB020E971D011C00011C00011C00011C00011C0001000E0000000000000000000000000000');
INSERT INTO "raw_blocks" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','requests/0/0',0,10,X'010183007CFF020002020604020A00020A00020A000102DAEDDFD8B1D70FCAA1C013010298D5F7EBB1D70F9E849B120200040200000002ECDDCE8DF29FD39F8001AB96DFAE86FF9B09010A82E0A5E0B1D70F93A494DDB1D70FDBD47CEAB180019621E8C6C002C5C3C402C1CC038CA00398AB030A020406080A020406080A01066C656E677468020000');
INSERT INTO "raw_blocks" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','requests/1/0',0,10,X'0101770088FF020002020604020A00020A00020A000102FE80EE81B2D70F928284110102C4F8CD92B2D70FFC9EFC110200040200000102C8CF9A0587CC05010AC6D08887B2D70FF79AEE83B2D70FF3DD0CEFB07CF4EA79BCDEAE029396A902923681CF01D4B0010A020406080A020406080A01066C656E677468020000');
INSERT INTO "raw_blocks" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','requests/2/0',0,10,X'01017A0085FF020002020604020A00020A00020A000102D2A394A8B2D70F948AFE1B0102AEE6F5C3B2D70FF488FC110200040200000102E8A29C05F5C301010ABAC6B0ADB2D70FCFFF99AAB2D70FC7BA06CAA4AB02C8E1A605C1E2A90587D5A802C4FA0395F8049E81030A020406080A020406080A01066C656E677468020000');
CREATE TABLE raw_data (
    experiment_id TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    stored_at_us  BIGINT NOT NULL,
    stored_bytes  BIGINT NOT NULL,
    dropped_at_us BIGINT
);
INSERT INTO "raw_data" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac',1796032800777938,516,NULL);
CREATE TABLE reports (
    experiment_id TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    report        TEXT NOT NULL
, packed BLOB);
INSERT INTO "reports" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac','{"inference": {"total_tokens": 54, "input_tokens": 24, "output_tokens": 30, "inference_time_sec": 0.12447321899526287, "tokens_per_second": 244.23655150363751, "latency_per_token_ms": 4.094391252429334, "mean_ttft_ms": 5.888841333333333, "mean_tpot_ms": 3.6388448331005443, "median_itl_ms": 3.286053499323316, "p99_itl_ms": 10.010857401503014}, "energy": {"total_energy_j": 0.03765265921810308, "gpu_energy_j": null, "cpu_energy_j": 0.03765265921810308, "dram_energy_j": null, "host_cpu_energy_j": 0.8627350071829909, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.8250823479648879, "gpu_power_w": null, "cpu_power_w": 0.3024960672025044, "duration_sec": 0.12447321899526287, "cpu_time_share": 0.04359424184180472, "baselines": [{"kind": "bare", "baseline_power_w": null, "gpu_power_w": null, "host_cpu_power_w": null, "marginal_energy_j": null, "window_sec": null, "age_sec": null, "note": "no idle power of the CPU estimate: the host''s CPUs were 100 % busy, and at rest are at most 5 %"}, {"kind": "loaded", "baseline_power_w": 6.995876133843652, "gpu_power_w": null, "host_cpu_power_w": 6.995876133843652, "marginal_energy_j": -0.00806421488866288, "window_sec": 0.7519343870008015, "age_sec": 0.0022251240006880835, "note": "the CPU''s part is an estimate, idle power as well as energy"}], "phases": [{"phase": "model_load", "duration_sec": 0.007405827003822196, "total_energy_j": null, "gpu_energy_j": null, "cpu_energy_j": null, "confidence": "low", "note": "its 1 stretches last 7.4 ms on average and 1 of them hold fewer than 2 samples of the CPU estimate: sample faster or make the phase longer"}, {"phase": "warm_up", "duration_sec": 0.018976139996084385, "total_energy_j": null, "gpu_energy_j": null, "cpu_energy_j": null, "confidence": "low", "note": "its 1 stretches last 19.0 ms on average and 1 of them hold fewer than 2 samples of the CPU estimate: sample faster or make the phase longer"}, {"phase": "prefill", "duration_sec": 0.03533304800657788, "total_energy_j": null, "gpu_energy_j": null, "cpu_energy_j": null, "confidence": "low", "note": "its 6 stretches last 5.9 ms on average and 6 of them hold fewer than 2 samples of the CPU estimate: sample faster or make the phase longer"}, {"phase": "decode", "duration_sec": 0.08733227599441307, "total_energy_j": null, "gpu_energy_j": null, "cpu_energy_j": null, "confidence": "low", "note": "its 6 stretches last 14.6 ms on average and 6 of them hold fewer than 2 samples of the CPU estimate: sample faster or make the phase longer"}], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.8627350071829909, "mean_power_w": 6.931089387314908, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 1, "interval_ms": null, "uncertainty_j": 0.6751969429204779, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling; sum over 3 windows of one sensor", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "efficiency": {"tokens_per_joule": 1434.1616534228015, "joules_per_token": 0.0006972714670019089, "joules_per_output_token": 0.001255088640603436, "joules_per_input_token": 0.0015688608007542952, "effective_throughput": 433.82825989303853, "flop_per_joule": null, "flop_per_token": null, "watts_per_token_per_second": 0.001255088640603436}, "validation": {"temporal_overlap": "not_applicable", "overlap_ratio": null, "gpu_attribution": "not_applicable", "imbalance_ratio": null, "warnings": [{"code": "few_warmups", "message": "1 warm-up iterations; 3 to 5 are recommended"}, {"code": "synthetic_engine", "message": "run by the synthetic engine: no model, no real tokens, nothing to cite"}, {"code": "foreign_cpu_load", "message": "Other programs than this server''s experiments used 95 % of the busy CPU (1.91 CPUs) in cycle 1; less so in cycles 0, 2: do not cite, run again"}, {"code": "short_window", "message": "cycle 1 lasted 0.0 s; use 273 times the prompts or tokens to reach 10 s; the CPU''s estimate was sampled 0 times in cycle 0; energy needs 10 samples"}, {"code": "energy_incomplete", "message": "dram_energy_j is unknown and not in total_energy_j"}, {"code": "energy_estimated", "message": "CPU energy is an estimate, not a measurement: estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}, {"code": "metric_unknown", "message": "peak_gpu_memory_bytes: no GPU was leased"}, {"code": "metric_unknown", "message": "gpu_energy_j: no GPU was leased"}, {"code": "metric_unknown", "message": "dram_energy_j: no source of memory energy was read on this host"}, {"code": "metric_unknown", "message": "host_dram_energy_j: no source of memory energy was read on this host"}, {"code": "metric_unknown", "message": "host_idle_energy_j: there is no idle baseline of the CPU: no idle power of the CPU estimate: the host''s CPUs were 100 % busy, and at rest are at most 5 %"}, {"code": "metric_unknown", "message": "gpu_power_w: no GPU was leased"}, {"code": "metric_unknown", "message": "flops_total: the model''s FLOPs could not be counted"}, {"code": "metric_unknown", "message": "flops_prefill: the model''s operators are not known"}, {"code": "metric_unknown", "message": "flops_decode: the model''s operators are not known"}, {"code": "metric_unknown", "message": "flops_causal_total: the model''s operators are not known"}, {"code": "metric_unknown", "message": "flops_elementwise: the model''s operators are not known"}, {"code": "metric_unknown", "message": "macs_total: the model''s FLOPs could not be counted"}, {"code": "metric_unknown", "message": "flops_two_params_tokens: the model''s FLOPs could not be counted"}, {"code": "metric_unknown", "message": "flops_per_second: flops_total is unknown"}, {"code": "metric_unknown", "message": "flops_method: the model''s FLOPs could not be counted"}, {"code": "metric_unknown", "message": "flops_confidence: the model''s FLOPs could not be counted"}, {"code": "metric_unknown", "message": "bytes_read_total: the types of the model''s weights are not known"}, {"code": "metric_unknown", "message": "bytes_read_decode: the types of the model''s weights are not known"}, {"code": "metric_unknown", "message": "bytes_per_token: bytes_read_decode is unknown"}, {"code": "metric_unknown", "message": "arithmetic_intensity: flops_total is unknown"}, {"code": "metric_unknown", "message": "roofline: no peak rates of this CPU are known"}, {"code": "metric_unknown", "message": "flop_per_joule: flops_total is unknown"}, {"code": "metric_unknown", "message": "flop_per_token: flops_total is unknown"}]}, "cycles": [{"cycle": 0, "inference": {"total_tokens": 18, "input_tokens": 8, "output_tokens": 10, "inference_time_sec": 0.039526390995888505, "tokens_per_second": 252.99552395360837, "latency_per_token_ms": 3.9526390995888505, "mean_ttft_ms": 6.760259499999999, "mean_tpot_ms": 3.168140498928551, "median_itl_ms": 3.288872496341355, "p99_itl_ms": 3.3213323859672528}, "energy": {"total_energy_j": 0.013768643346239824, "gpu_energy_j": null, "cpu_energy_j": 0.013768643346239824, "dram_energy_j": null, "host_cpu_energy_j": 0.27593014977178143, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.2621615064255416, "gpu_power_w": null, "cpu_power_w": 0.34834051375123076, "duration_sec": 0.039526390995888505, "cpu_time_share": 0.049899017405773544, "baselines": [{"kind": "bare", "baseline_power_w": null, "gpu_power_w": null, "host_cpu_power_w": null, "marginal_energy_j": null, "window_sec": null, "age_sec": null, "note": "no idle power of the CPU estimate: the host''s CPUs were 100 % busy, and at rest are at most 5 %"}, {"kind": "loaded", "baseline_power_w": 6.995876133843652, "gpu_power_w": null, "host_cpu_power_w": 6.995876133843652, "marginal_energy_j": -0.0005915856533275643, "window_sec": 0.7519343870008015, "age_sec": 0.0022251240006880835, "note": "the CPU''s part is an estimate, idle power as well as energy"}], "phases": [], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.27593014977178143, "mean_power_w": 6.9809092816109475, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 0, "interval_ms": null, "uncertainty_j": 0.21594950017599046, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "efficiency": {"tokens_per_joule": 1307.3183426539804, "joules_per_token": 0.0007649246303466569, "joules_per_output_token": 0.0013768643346239824, "joules_per_input_token": 0.001721080418279978, "effective_throughput": 455.39194311649504, "flop_per_joule": null, "flop_per_token": null, "watts_per_token_per_second": 0.0013768643346239824}}, {"cycle": 1, "inference": {"total_tokens": 18, "input_tokens": 8, "output_tokens": 10, "inference_time_sec": 0.03671054099686444, "tokens_per_second": 272.40132475449303, "latency_per_token_ms": 3.671054099686444, "mean_ttft_ms": 5.4380500000000005, "mean_tpot_ms": 3.152664875415212, "median_itl_ms": 3.2776709958852734, "p99_itl_ms": 3.3568223912880057}, "energy": {"total_energy_j": 0.011818900918313538, "gpu_energy_j": null, "cpu_energy_j": 0.011818900918313538, "dram_energy_j": null, "host_cpu_energy_j": 0.2560949305234459, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.24427602960513237, "gpu_power_w": null, "cpu_power_w": 0.3219484267290702, "duration_sec": 0.03671054099686444, "cpu_time_share": 0.04615046808679994, "baselines": [{"kind": "bare", "baseline_power_w": null, "gpu_power_w": null, "host_cpu_power_w": null, "marginal_energy_j": null, "window_sec": null, "age_sec": null, "note": "no idle power of the CPU estimate: the host''s CPUs were 100 % busy, and at rest are at most 5 %"}, {"kind": "loaded", "baseline_power_w": 6.995876133843652, "gpu_power_w": null, "host_cpu_power_w": 6.995876133843652, "marginal_energy_j": -0.0007274670970069397, "window_sec": 0.7519343870008015, "age_sec": 0.04534305800189031, "note": "the CPU''s part is an estimate, idle power as well as energy"}], "phases": [], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.2560949305234459, "mean_power_w": 6.976059833749652, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 0, "interval_ms": null, "uncertainty_j": 0.2004259856702288, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "efficiency": {"tokens_per_joule": 1522.9842541541886, "joules_per_token": 0.0006566056065729743, "joules_per_output_token": 0.0011818900918313538, "joules_per_input_token": 0.0014773626147891923, "effective_throughput": 490.32238455808744, "flop_per_joule": null, "flop_per_token": null, "watts_per_token_per_second": 0.0011818900918313538}}, {"cycle": 2, "inference": {"total_tokens": 18, "input_tokens": 8, "output_tokens": 10, "inference_time_sec": 0.048236287002509926, "tokens_per_second": 207.31280580281108, "latency_per_token_ms": 4.8236287002509926, "mean_ttft_ms": 5.4682145, "mean_tpot_ms": 4.59572912495787, "median_itl_ms": 3.2989369974529836, "p99_itl_ms": 10.900524601893265}, "energy": {"total_energy_j": 0.012065114953549722, "gpu_energy_j": null, "cpu_energy_j": 0.012065114953549722, "dram_energy_j": null, "host_cpu_energy_j": 0.3307099268877636, "host_dram_energy_j": null, "host_idle_energy_j": null, "host_other_energy_j": 0.31864481193421385, "gpu_power_w": null, "cpu_power_w": 0.25012528333538453, "duration_sec": 0.048236287002509926, "cpu_time_share": 0.03648246990071267, "baselines": [{"kind": "bare", "baseline_power_w": null, "gpu_power_w": null, "host_cpu_power_w": null, "marginal_energy_j": null, "window_sec": null, "age_sec": null, "note": "no idle power of the CPU estimate: the host''s CPUs were 100 % busy, and at rest are at most 5 %"}, {"kind": "loaded", "baseline_power_w": 6.995876133843652, "gpu_power_w": null, "host_cpu_power_w": 6.995876133843652, "marginal_energy_j": -0.0067451621383283755, "window_sec": 0.7519343870008015, "age_sec": 0.08550827900035074, "note": "the CPU''s part is an estimate, idle power as well as energy"}], "phases": [], "sources": [{"domain": "package", "gpu": null, "gpu_uuid": null, "zone": null, "zone_path": null, "scope": "host", "energy_j": 0.3307099268877636, "mean_power_w": 6.856040284994478, "source": "tdp_estimate", "method": "estimate", "confidence": "low", "sample_count": 1, "interval_ms": null, "uncertainty_j": 0.2588214570742587, "uncertainty_basis": "78 % of the estimate: its assumptions, not the sampling", "instrument_accuracy_percent": null, "refresh_ms": null, "counted_in_total": true, "note": "estimate: CPU model `AMD EPYC` has no TDP in our table: 3.5 W for each of 2 logical CPUs; idle power is taken as 20 % of full power, between them linear in the CPU time of /sys/fs/cgroup/cpuacct/cpuacct.usage (nanoseconds); power above TDP (turbo, up to 1.35 times) is in the uncertainty, not in the figure; this is a virtual machine: neighbours'' use of the socket is unseen"}]}, "compute": {"flops_total": null, "flops_prefill": null, "flops_decode": null, "flops_causal_total": null, "flops_elementwise": null, "macs_total": null, "flops_two_params_tokens": null, "flops_per_second": null, "flops_method": null, "flops_confidence": null, "bytes_read_total": null, "bytes_read_decode": null, "bytes_per_token": null, "arithmetic_intensity": null, "roofline": null, "flops_notes": ["the synthetic engine computes nothing"]}, "efficiency": {"tokens_per_joule": 1491.9045586635007, "joules_per_token": 0.0006702841640860957, "joules_per_output_token": 0.0012065114953549723, "joules_per_input_token": 0.0015081393691937152, "effective_throughput": 373.1630504450599, "flop_per_joule": null, "flop_per_token": null, "watts_per_token_per_second": 0.001206511495354972}}], "machine": {"hostname": "lab-box", "kernel": "Linux 6.18.44-fc-v669", "cpu_model": "AMD EPYC", "logical_cpus": 2, "compiled_cpu_features": ["sse4.2", "avx", "avx2", "fma", "f16c", "bmi2"], "gpu_names": [], "nvidia_driver": null, "joulemark_version": "0.1.0", "mistralrs_version": "0.8.1"}, "loads": [{"rank": 0, "window": {"start_monotonic_sec": 34485.632921148, "end_monotonic_sec": 34485.640326975}, "device": "cpu", "activation_dtype": "none", "max_sequence_tokens": 1048576, "placement": {"cpus": [0, 1], "threads": 2}}], "model": {"format": null, "architecture": null, "parameters_total": null, "sha256": []}, "timing": {"claim_to_load_start_sec": 0.09811164799612015, "load_sec": 0.007405827003822196, "warm_up_sec": 0.018976139996084385, "idle_baseline_sec": 1.0, "measuring_sec": 0.12447321899526287, "total_sec": 1.28104802, "overhead_share": 0.10162994046455076}}',NULL);
CREATE TABLE stored_bytes (
    submitter TEXT PRIMARY KEY NOT NULL,
    bytes     BIGINT NOT NULL
);
CREATE TABLE timeseries (
    experiment_id       TEXT PRIMARY KEY NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    start_monotonic_sec DOUBLE PRECISION NOT NULL,
    end_monotonic_sec   DOUBLE PRECISION NOT NULL,
    sample_interval_ms  DOUBLE PRECISION NOT NULL
);
INSERT INTO "timeseries" VALUES('01a22be5-a2d8-713b-a118-4a38ce3300ac',34485.5348095,34486.83130495,100.0);
CREATE TABLE transitions (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment_id TEXT NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    state         TEXT NOT NULL,
    attempt       BIGINT NOT NULL,
    at_us         BIGINT NOT NULL
);
INSERT INTO "transitions" VALUES(1,'01a22be5-a2d8-713b-a118-4a38ce3300ac','queued',0,1796032799448000);
INSERT INTO "transitions" VALUES(2,'01a22be5-a2d8-713b-a118-4a38ce3300ac','starting',1,1796032799484517);
INSERT INTO "transitions" VALUES(3,'01a22be5-a2d8-713b-a118-4a38ce3300ac','warming_up',1,1796032799590976);
INSERT INTO "transitions" VALUES(4,'01a22be5-a2d8-713b-a118-4a38ce3300ac','measuring',1,1796032800614821);
INSERT INTO "transitions" VALUES(5,'01a22be5-a2d8-713b-a118-4a38ce3300ac','aggregating',1,1796032800777938);
INSERT INTO "transitions" VALUES(6,'01a22be5-a2d8-713b-a118-4a38ce3300ac','completed',1,1796032800777938);
CREATE INDEX experiments_by_state ON experiments (state, id);
CREATE INDEX experiment_labels_by_value ON experiment_labels (label, value, experiment_id);
CREATE VIEW database_clock (now_us) AS SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER);
CREATE INDEX experiments_waiting ON experiments (lane, user_name, priority DESC, id) WHERE state = 'queued';
CREATE INDEX leases_by_holder ON leases (holder);
CREATE INDEX experiments_by_model ON experiments (model_name, id);
CREATE INDEX experiments_by_user ON experiments (user_name, id);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at_us);
CREATE INDEX idempotency_keys_by_experiment ON idempotency_keys (experiment_id);
CREATE INDEX raw_data_by_age ON raw_data (stored_at_us, experiment_id) WHERE dropped_at_us IS NULL;
CREATE INDEX experiments_by_submitter ON experiments (submitter, state);
CREATE INDEX transitions_by_experiment ON transitions (experiment_id, seq);
CREATE TRIGGER transition_of_new AFTER INSERT ON experiments BEGIN
    INSERT INTO transitions (experiment_id, state, attempt, at_us)
    VALUES (NEW.id, NEW.state, NEW.attempt, NEW.updated_at_us);
END;
CREATE TRIGGER transition_of_move AFTER UPDATE OF state ON experiments WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO transitions (experiment_id, state, attempt, at_us)
    VALUES (NEW.id, NEW.state, NEW.attempt, NEW.updated_at_us);
END;
CREATE INDEX callbacks_due ON callbacks (next_attempt_at_us) WHERE state = 'pending';
CREATE INDEX experiments_by_finish ON experiments (finished_at_us, id) WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_state_and_finish ON experiments (state, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_model_and_finish ON experiments (model_name, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_user_and_finish ON experiments (user_name, finished_at_us, id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_submitter_and_finish ON experiments (submitter, finished_at_us, id)
    WHERE submitter IS NOT NULL AND finished_at_us IS NOT NULL;
CREATE INDEX experiments_by_submitter_and_age ON experiments (submitter, id) WHERE submitter IS NOT NULL;
CREATE INDEX experiment_labels_by_finish ON experiment_labels (label, value, finished_at_us, experiment_id)
    WHERE finished_at_us IS NOT NULL;
CREATE INDEX experiments_with_prompts ON experiments (finished_at_us, id)
    WHERE has_prompts = 1 AND finished_at_us IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('transitions',6);
COMMIT;
