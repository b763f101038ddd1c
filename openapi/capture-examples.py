#!/usr/bin/env python3
"""Runs a server with a real model and keeps what it really answers as the examples of the API's description.

    python3 openapi/capture-examples.py [--program target/release/joulemark] [--models models]

Only the names of this host and its folders are replaced. Afterwards write openapi/openapi.json and .yaml anew.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "src/http/openapi/examples"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
EXPERIMENT = {
    "config_name": "first-look",
    "model_name": MODEL,
    "prompts": {"dataset": "short-32", "count": 2},
    "max_output_tokens": 8,
    "min_output_tokens": 8,
    "warmup_iterations": 1,
    "num_cycles": 2,
    "labels": {"team": "nlp"},
}
CHANGES = {"paper": "fig3", "draft": None}
QUESTION = {"model": MODEL, "input_tokens": 128, "output_tokens": 64}


class Server:
    def __init__(self, program, models, folder):
        self.folder = folder
        database = ["--database-url", f"sqlite://{folder}/joulemark.db"]
        key = [program, "key", "create", "--name", "ada", "--role", "admin", *database]
        self.key = subprocess.run(key, check=True, capture_output=True, text=True).stdout.strip()
        self.log = open(f"{folder}/log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0", "--auth", "keys", "--node-name", "lab-box",
             "--models-dir", models, "--lock-dir", f"{folder}/locks", *database],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        self.url = line.removeprefix("listening on ").strip()
        assert self.url.startswith("http"), line

    def call(self, path, body=None, method=None, **headers):
        """Status, headers and text of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Authorization", f"Bearer {self.key}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path}: {error.code} {error.read().decode()}") from error

    def first_lines(self, path, count, **headers):
        """Lines of an answer that goes on, up to the next empty one."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.key}", **headers})
        lines = []
        with urllib.request.urlopen(request, timeout=60) as answer:
            while len(lines) < count or lines[-1].strip():
                lines.append(answer.readline().decode())
        return "".join(lines)

    def until(self, experiment, states):
        for _ in range(1200):
            state = json.loads(self.call(f"/v1/experiments/{experiment}")[2])["state"]
            if state in states:
                return state
            assert state not in ("failed", "cancelled"), state
            time.sleep(0.1)
        raise SystemExit(f"{experiment} never came to {states}")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Keeper:
    """Writes examples, without this host's own names."""

    def __init__(self, replaced):
        self.replaced = replaced

    def keep(self, name, text):
        for name_here, shown in self.replaced:
            text = re.sub(name_here, shown, text)
        if name.endswith(".json"):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
        (EXAMPLES / name).write_text(text, encoding="utf-8")
        print(f"  {name}: {len(text)} bytes")


def capture(server, keeper):
    def get(operation, path, status=200, extension="json", **headers):
        answer = server.call(path, **headers)
        assert answer[0] == status, answer
        keeper.keep(f"{operation}.{status}.{extension}", answer[2])

    keeper.keep("submitExperiment.request.json", json.dumps(EXPERIMENT))
    keeper.keep("countFlops.request.json", json.dumps(QUESTION))
    get("healthz", "/healthz")
    get("readyz", "/readyz")
    keeper.keep("countFlops.200.json", server.call("/v1/flops", QUESTION)[2])
    status, _, text = server.call("/v1/experiments", EXPERIMENT)
    assert status == 201, text
    keeper.keep("submitExperiment.201.json", text)
    first = f"/v1/experiments/{json.loads(text)['id']}"
    waiting = json.loads(server.call("/v1/experiments", EXPERIMENT)[2])["id"]
    status, _, text = server.call(f"/v1/experiments/{waiting}/cancel", method="POST")
    assert status == 200, text
    keeper.keep("cancelExperiment.200.json", text)
    keeper.keep("changeLabels.request.json", json.dumps(CHANGES))
    status, _, text = server.call(f"/v1/experiments/{waiting}/labels", CHANGES, method="PATCH")
    assert status == 200, text
    keeper.keep("changeLabels.200.json", text)
    server.until(first.rsplit("/", 1)[1], ["measuring"])
    get("getExperiment", first)
    # Only another server's experiment takes so long to stop that the answer is 202: with the experiment as it is then.
    shutil.copy(EXAMPLES / "getExperiment.200.json", EXAMPLES / "cancelExperiment.202.json")
    keeper.keep("followExperiment.200.txt", server.first_lines(f"{first}/events", 9))
    get("listNodes", "/v1/nodes")
    get("getLimits", "/v1/limits")
    get("listDevices", "/v1/devices")
    get("getMetricDefinition", "/v1/metrics/output_throughput")
    # A few; the rest is alike.
    definitions = json.loads(server.call("/v1/metrics")[2])["items"]
    shown = ("output_throughput", "tokens_per_second", "total_energy_j")
    few = [definition for definition in definitions if definition["name"] in shown]
    keeper.keep("listMetricDefinitions.200.json", json.dumps({"items": few}))
    server.until(first.rsplit("/", 1)[1], ["completed"])
    get("getResults", f"{first}/results")
    get("getProcesses", f"{first}/processes")
    get("getManifest", f"{first}/manifest")
    get("getTimeseries", f"{first}/timeseries?resolution_ms=2000")
    for extension in ("csv", "jsonl"):
        query = f"format={extension}"
        get("exportExperiment", f"{first}/export?{query}", extension=extension)
        get("exportExperiments", f"/v1/experiments/export?state=completed&{query}", extension=extension)
    again = json.loads(server.call("/v1/experiments", EXPERIMENT)[2])["id"]
    server.until(again, ["completed"])
    comparison = {"ids": [first.rsplit("/", 1)[1], again], "metrics": ["output_throughput", "joules_per_output_token"]}
    keeper.keep("compareResults.request.json", json.dumps(comparison))
    keeper.keep("compareResults.200.json", server.call("/v1/compare", comparison)[2])
    get("getPareto", "/v1/pareto?x=joules_per_output_token&y=output_throughput&label=team%3Dnlp")
    capture_sweep(server, keeper)
    keeper.keep("followExperiments.200.txt", server.first_lines("/v1/events", 9, **{"Last-Event-ID": "0"}))
    get("listExperiments", "/v1/experiments?limit=2")
    # Its beginning; the rest is alike.
    keeper.keep("getMetrics.200.txt", "".join(server.call("/metrics")[2].splitlines(True)[:42]))
    get("listAudit", "/v1/audit?limit=3")


def capture_sweep(server, keeper):
    base = {"model_name": EXPERIMENT["model_name"], "prompts": {"dataset": "short-32", "count": 2}, "num_cycles": 1,
            "max_output_tokens": 16, "min_output_tokens": 16, "warmup_iterations": 0, "idle_baseline_sec": 0}
    sweep = {"base": base, "axes": {"num_processes": [1, 2]}, "repeats": 2}
    keeper.keep("submitSweep.request.json", json.dumps(sweep))
    status, _, text = server.call("/v1/sweeps", sweep)
    assert status == 201, text
    keeper.keep("submitSweep.201.json", text)
    path = f"/v1/sweeps/{json.loads(text)['id']}"
    while json.loads(server.call(f"{path}?fields=state")[2])["state"] == "running":
        time.sleep(0.5)
    keeper.keep("getSweep.200.json", server.call(path)[2])
    keeper.keep("listSweeps.200.json", server.call("/v1/sweeps?limit=1")[2])
    for extension in ("csv", "jsonl"):
        lines = server.call(f"{path}/export?format={extension}")[2].splitlines(True)
        # The example of JSON Lines is a line's.
        keeper.keep(f"exportSweep.200.{extension}", "".join(lines[:1] if extension == "jsonl" else lines))
    other = json.loads(server.call("/v1/sweeps", sweep)[2])["id"]
    status, _, text = server.call(f"/v1/sweeps/{other}/cancel", method="POST")
    assert status == 200, text
    keeper.keep("cancelSweep.200.json", text)
    # As it is where another server's experiment has not stopped yet.
    shutil.copy(EXAMPLES / "submitSweep.201.json", EXAMPLES / "cancelSweep.202.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/joulemark"))
    parser.add_argument("--models", default=str(ROOT / "models"))
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp()
    server = Server(arguments.program, os.path.abspath(arguments.models), folder)
    hostname = f'"hostname":"{re.escape(socket.gethostname())}"'
    keeper = Keeper([(hostname, '"hostname":"lab-box"'), (re.escape(folder), "/var/lib/joulemark"),
                     (re.escape(str(ROOT)), "/srv/joulemark")])
    try:
        capture(server, keeper)
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
