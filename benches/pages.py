"""What the pages take with much to show: 10,000 experiments stored, one of them with an hour of 8 GPUs at 10 Hz.

    cargo build --release --locked --workspace
    python3 benches/pages.py                     # half a minute, on the mock NVML
    python3 benches/pages.py --experiments 100000

An experiment of the synthetic engine on 8 mock GPUs is run, and copied with its report and two labels; an hour of samples is
put in the place of its own, in blocks as the store writes them (crates/store/src/raw)."""

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
import zlib

GPUS = 8
HOUR_SEC = 3600
INTERVAL_MS = 100
ROUNDS = 20
POINTS_A_BLOCK = 4096
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
        try:
            look(server, options.experiments)
        finally:
            server.stop()


def look(server, count):
    """Fills the server's database and prints what its views take."""
    id = server.complete(EXPERIMENT)
    server.stop()
    database = sqlite3.connect(server.database)
    copy(database, id, count)
    lengthen(database, id)
    database.commit()
    database.close()
    server.start()
    server.check_hour(id)
    samples = GPUS * HOUR_SEC * 1000 // INTERVAL_MS
    print(f"{count} experiments, and one with {samples} samples of {GPUS} GPUs over an hour")
    print(f"first byte over {ROUNDS} requests, one after the other, and size")
    for name, path in [
        ("/", ""),
        ("/experiments", "experiments"),
        ("/experiments, of a label", "experiments?label=team%3Dt3&sort=finished_at"),
        ("/experiments/{id}, an hour of 8 GPUs", f"experiments/{id}"),
        ("its report.html", f"v1/experiments/{id}/report.html"),
    ]:
        print(f"  {name:<37} {measure(server.address, path)}")


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


    def check_hour(self, id):
        """Fails where the server reads other samples than were put there."""
        with urllib.request.urlopen(f"{self.url}/v1/experiments/{id}/timeseries?resolution_ms=60000") as answer:
            items = [item for item in json.load(answer)["items"] if item["gpu"] is not None]
        assert len(items) == GPUS, items
        for item in items:
            assert len(item["points"]) > 50 and 300 < item["points"][1]["power_w"] < 350, item["points"][:3]


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
    positions = database.execute("SELECT position, series FROM device_series WHERE experiment_id = ?", [id]).fetchall()
    for position, described in positions:
        if json.loads(described).get("gpu") is None:
            continue
        stream = f"device/{position}"
        database.execute("DELETE FROM raw_blocks WHERE experiment_id = ? AND stream = ?", [id, stream])
        columns = hour(start_sec, chance)
        for number, begin in enumerate(range(0, len(columns[0]), POINTS_A_BLOCK)):
            points = [column[begin : begin + POINTS_A_BLOCK] for column in columns]
            row = [id, stream, number, len(points[0]), block(points)]
            database.execute("INSERT INTO raw_blocks (experiment_id, stream, block, points, columns) VALUES (?, ?, ?, ?, ?)", row)


def hour(start_sec, chance):
    """Returns a GPU's columns: power moves by watts, load and clocks at 5 Hz, temperature at 1 Hz, throttling at times."""
    count = HOUR_SEC * 1000 // INTERVAL_MS

    def held(of, every):
        return [value for value in (of() for _ in range(count // every)) for _ in range(every)]

    return [
        [int(start_sec * 1e6) + number * INTERVAL_MS * 1000 + chance.randrange(200) for number in range(count)],
        [250_000 + chance.randrange(150_000) for _ in range(count)],
        held(lambda: 1000 * chance.randrange(60, 101), 2),
        held(lambda: 1000 * chance.randrange(60, 64), 10),
        held(lambda: 1410 - 15 * chance.randrange(20), 2),
        [1593] * count,
        [40_000_000_000] * count,
        [400_000] * count,
        held(lambda: chance.choice(["", "sw_power_cap"]), 600),
    ]


def block(columns):
    """Returns columns as one block: moments, then quantities all of which are known, then reasons for throttling."""
    moments, *quantities, reasons = columns
    written = bytearray(numbers(moments, is_ticking=True))
    for quantity in quantities:
        # No unknown ones, then all.
        written += unsigned(2) + unsigned(0) + unsigned(2 * len(quantity)) + numbers(quantity)
    different = sorted(set(reasons))
    written += unsigned(len(different))
    for text in different:
        written += unsigned(len(text)) + text.encode()
    written += numbers([different.index(text) for text in reasons])
    deflate = zlib.compressobj(9, wbits=-15)
    return b"\x01" + deflate.compress(bytes(written)) + deflate.flush()


def numbers(values, is_ticking=False):
    """Returns how many there are, then for each how far it is from the one before, or from what the last step foretells."""
    written, last, step = bytearray(unsigned(len(values))), 0, 0
    for value in values:
        miss = value - last - (step if is_ticking else 0)
        written += unsigned(2 * miss if miss >= 0 else -2 * miss - 1)
        last, step = value, value - last
    return written


def unsigned(value):
    """Returns a number in base 128."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return written


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
