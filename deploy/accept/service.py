"""The service under test: started on a free port in a folder of its own, asked by HTTP, ended with all that it started."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from report import OutOfTime

ENDED = ("completed", "failed", "cancelled")
LOOK_SEC = 0.02
# Longer than boards are tried to be put back.
END_SEC = 60


class Service:
    """A `joulemark serve` of this run alone."""

    def __init__(self, programs, folder, options, is_simulated):
        self.power_control = options.power_control
        self.restore = [
            programs.joulemark, "power", "restore", "--lock-dir", os.path.join(folder, "locks"), "--nvml-lib", options.nvml_lib,
            "--power-control", options.power_control,
        ]
        self.log_path = os.path.join(folder, "server.log")
        command = [
            programs.joulemark, "serve", "--listen", "127.0.0.1:0", "--models-dir", os.path.join(folder, "models"),
            "--database-url", f"sqlite://{folder}/joulemark.db", "--lock-dir", os.path.join(folder, "locks"),
            "--engine-dir", programs.engine_dir, "--nvml-lib", options.nvml_lib, "--power-control", options.power_control,
        ] + (["--allow-synthetic-engine"] if is_simulated else [])
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening on "):
            raise RuntimeError(f"the service does not start: {self.last_words()}")
        self.url = line.removeprefix("listening on ").strip()

    def last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()[-500:]

    def ask(self, path, body=None):
        """Returns the answer's status and document."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def submit(self, experiment):
        """Returns the experiment's id; raises what the service refuses, in its words."""
        status, document = self.ask("/v1/experiments", experiment)
        if status != 201:
            raise Refused(document)
        return document["id"]

    def state(self, identity):
        return self.ask(f"/v1/experiments/{identity}")[1]

    def until(self, identity, states, patience_sec):
        """Returns the experiment once it is in one of the states, or has ended. One that takes too long is cancelled."""
        deadline = time.monotonic() + patience_sec
        while True:
            document = self.state(identity)
            if document["state"] in states or document["state"] in ENDED:
                return document
            if time.monotonic() > deadline:
                self.cancel(identity)
                raise OutOfTime
            time.sleep(LOOK_SEC)

    def results(self, identity, patience_sec):
        """Returns the results of an experiment; raises why it has none."""
        document = self.until(identity, ENDED, patience_sec)
        if document["state"] != "completed":
            failure = document.get("failure") or {}
            raise RuntimeError(f"the experiment {document['state']}: {failure.get('message')}")
        return self.ask(f"/v1/experiments/{identity}/results")[1]

    def windows(self, identity):
        """Returns the window and the energy of the GPUs, in joules, of each measured cycle of rank 0."""
        items = self.ask(f"/v1/experiments/{identity}/processes")[1]["items"]
        return [(item["window"], item["energy"]["gpu_energy_j"]) for item in items if item["rank"] == 0]

    def cancel(self, identity):
        self.ask(f"/v1/experiments/{identity}/cancel", {})

    def workers(self):
        """Returns the processes that the service started."""
        children = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if int(parent) == self.process.pid and state != "Z":
                children.append(int(pid))
        return children

    def cpu_sec(self):
        """Returns the CPU time that the service's own process has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_SEC)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # What it could not put back: its journal goes with the folder.
        subprocess.run(self.restore, check=True, timeout=END_SEC, stdout=subprocess.DEVNULL)


class Refused(Exception):
    """A submission that the service refused."""

    def __init__(self, document):
        errors = document.get("errors") or []
        words = "; ".join(f"{error.get('pointer')} {error.get('detail')}" for error in errors)
        super().__init__(words or document.get("detail") or document.get("title"))
        self.pointers = [error.get("pointer") for error in errors]
