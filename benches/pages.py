"""What the pages take with much to show: 10,000 experiments stored, one of them with an hour of 8 GPUs at 10 Hz.

    cargo build --release --locked --workspace
    python3 benches/pages.py                     # half a minute, on the mock NVML
    python3 benches/pages.py --experiments 100000

An experiment of the synthetic engine on 8 mock GPUs is run, and copied with its report and two labels; the samples of the
one that is looked at are put in the place of its own, in the form of release 0.1, which is read more slowly than today's."""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

GPUS = 8
HOUR_SEC = 3600
INTERVAL_MS = 100
ROUNDS = 20
EXPERIMENT = {
    "config_name": "8 GPUs", "model_name": "synthetic:prefill_ms=20,decode_ms=5", "device": "cpu", "gpus": list(range(GPUS)),
    "prompts": {"dataset": "short-32", "count": 8}, "max_output_tokens": 32, "num_cycles": 5, "idle_baseline_sec": 1,
    "labels": {"team": "nlp", "run": "0"},
}
# Milliseconds since 1970 of the first copy; each is a millisecond younger than the one before.
FIRST_MS = 1_700_000_000_000
ID = "printf('%08x-%04x-7000-8000-%012x', (:first + i) >> 16, (:first + i) & 65535, i)"
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
    parser.add_argument("--programs", default=programs, help="folder of the built programs (default: %(default)s)")
    parser.add_argument("--experiments", type=int, default=10_000, help="how many are stored (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, options.programs)
        id = server.complete(EXPERIMENT)
        server.stop()
        database = sqlite3.connect(server.database)
        copy(database, id, options.experiments)
        lengthen(database, id)
        database.commit()
        database.close()
        server.start()
        samples = GPUS * HOUR_SEC * 1000 // INTERVAL_MS
        print(f"{options.experiments} experiments, and one with {samples} samples of {GPUS} GPUs over an hour")
        print(f"first byte over {ROUNDS} requests, one after the other, and size")
        for name, path in [
            ("/", ""),
            ("/experiments", "experiments"),
            ("/experiments, of a label", "experiments?label=team%3Dt3&sort=finished_at"),
            ("/experiments/{id}, an hour of 8 GPUs", f"experiments/{id}"),
            ("its report.html", f"v1/experiments/{id}/report.html"),
        ]:
            print(f"  {name:<37} {measure(server.address, path)}")
        server.stop()


class Server:
    """The service on a port of its own, with its database and the mock's GPUs in a folder."""

    def __init__(self, folder, programs):
        self.program = os.path.join(programs, "joulemark")
        self.library = os.path.join(folder, "libmock_nvml.so")
        self.folder = folder
        self.database = os.path.join(folder, "joulemark.db")
        shutil.copy(os.path.join(programs, "libmock_nvml.so"), self.library)
        with open(self.library + ".conf", "w", encoding="utf-8") as file:
            file.write(f"devices={GPUS}\nshape=sine:400:150:5\ncompute_capability=9.0\n")
        self.start()

    def start(self):
        command = [
            self.program, "serve", "--listen", "127.0.0.1:0", "--allow-synthetic-engine", "--nvml-lib", self.library,
            "--database-url", f"sqlite://{self.database}", "--lock-dir", os.path.join(self.folder, "locks"),
            "--rate-limit-per-minute", "0", "--sample-interval-ms", str(INTERVAL_MS),
        ]
        log = open(os.path.join(self.folder, "log"), "a", encoding="utf-8")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        said = self.process.stdout.readline()
        assert said.startswith("listening on "), open(log.name, encoding="utf-8").read()
        self.url = said.removeprefix("listening on ").strip()
        self.address = urllib.parse.urlsplit(self.url)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def complete(self, experiment):
        """Runs an experiment and returns its id."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/experiments", json.dumps(experiment).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            id = json.load(answer)["id"]
        while True:
            with urllib.request.urlopen(f"{self.url}/v1/experiments/{id}") as answer:
                state = json.load(answer)["state"]
            if state == "completed":
                return id
            assert state not in ("failed", "cancelled"), state
            time.sleep(0.2)


def copy(database, template, count):
    """Stores copies of an experiment with its report, ten models and two labels, in the order of their age."""
    given = {"first": FIRST_MS, "count": count - 1, "template": template}
    columns = [name for (name,) in database.execute("SELECT name FROM pragma_table_info('experiments')")]
    changed = {
        "id": ID, "created_at_us": "(:first + i) * 1000", "finished_at_us": "(:first + i) * 1000 + 1000000",
        "model_name": "'m' || (i % 10)",
    }
    values = ", ".join(changed.get(column, f"t.{column}") for column in columns)
    statements = [
        f"INSERT INTO experiments ({', '.join(columns)}) {NUMBERS} SELECT {values} FROM n, experiments t WHERE t.id = :template",
        f"INSERT INTO reports (experiment_id, report, packed) {NUMBERS} SELECT {ID}, r.report, r.packed FROM n, reports r "
        "WHERE r.experiment_id = :template",
    ]
    for label, value in [("team", "'t' || (i % 10)"), ("run", "'r' || i")]:
        statements.append(
            f"INSERT INTO experiment_labels (experiment_id, label, value, finished_at_us) {NUMBERS} "
            f"SELECT {ID}, '{label}', {value}, (:first + i) * 1000 + 1000000 FROM n"
        )
    for statement in statements:
        database.execute(statement, {name: given[name] for name in given if f":{name}" in statement})


def lengthen(database, id):
    """Puts an hour of samples in the place of an experiment's own."""
    chance = random.Random(1)
    (start_sec,) = database.execute("SELECT start_monotonic_sec FROM timeseries WHERE experiment_id = ?", [id]).fetchone()
    database.execute("UPDATE timeseries SET end_monotonic_sec = ? WHERE experiment_id = ?", [start_sec + HOUR_SEC, id])
    database.execute("DELETE FROM raw_blocks WHERE experiment_id = ? AND stream LIKE 'device/%'", [id])
    positions = database.execute("SELECT position, series FROM device_series WHERE experiment_id = ?", [id]).fetchall()
    for position, series in positions:
        described = json.loads(series)
        if described.get("gpu") is None:
            continue
        series = json.dumps(columns_of({key: described.get(key) for key in ("gpu", "gpu_uuid", "zone", "zone_path")}, start_sec, chance))
        database.execute("UPDATE device_series SET series = ? WHERE experiment_id = ? AND position = ?", [series, id, position])


def columns_of(description, start_sec, chance):
    """Returns a GPU's hour: power moves by watts, load and clocks at 5 Hz, temperature at 1 Hz."""
    count = HOUR_SEC * 1000 // INTERVAL_MS
    moments = [int(start_sec * 1e6)] + [INTERVAL_MS * 1000 + chance.randrange(-100, 100) for _ in range(count - 1)]
    runs = lambda of, every: [[of(), every] for _ in range(count // every)]
    return {
        **description,
        "at_us": moments,
        "power_mw": [250_000 + chance.randrange(150_000) for _ in range(count)],
        "utilisation_millipercent": runs(lambda: 1000 * chance.randrange(60, 101), 2),
        "temperature_millidegrees": runs(lambda: 1000 * chance.randrange(60, 64), 10),
        "sm_clock_mhz": runs(lambda: 1410 - 15 * chance.randrange(20), 2),
        "memory_clock_mhz": [[1593, count]],
        "memory_used_bytes": [[40_000_000_000, count]],
        "power_limit_mw": [[400_000, count]],
        "throttle_reasons": runs(lambda: chance.choice([[], ["sw_power_cap"]]), 600),
    }


def measure(address, path):
    """Returns when the first byte of a view's answer is there, and its size as a browser asks for it."""
    times_ms, bytes_sent = [], 0
    for _ in range(ROUNDS):
        with socket.create_connection((address.hostname, address.port)) as connection:
            request = (
                f"GET /{path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: text/html\r\n"
                "Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: close\r\n\r\n"
            )
            begin = time.perf_counter()
            connection.sendall(request.encode())
            connection.recv(1, socket.MSG_PEEK)
            times_ms.append((time.perf_counter() - begin) * 1000)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200, (path, answer.status)
            encoding = answer.headers.get("content-encoding", "not compressed")
            bytes_sent = len(answer.read())
    return (
        f"first byte {statistics.median(times_ms):.0f} ms, at most {max(times_ms):.0f} ms, the first {times_ms[0]:.0f} ms; "
        f"{bytes_sent / 1000:.1f} kB, {encoding}"
    )


if __name__ == "__main__":
    main()
