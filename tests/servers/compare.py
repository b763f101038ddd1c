#!/usr/bin/env python3
"""Runs one experiment with mistral.rs and with llama.cpp's server, and prints the table of docs/engines.md.

    bash tests/run.sh                      # or what it sets up: a release build, the model, the wheel of llama.cpp's server
    python3 tests/servers/compare.py [--program target/release/joulemark] [--models models]

The host's energy is simulated, at 1 kHz: 5 W, and 15 W times the busy share of its CPUs.
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENGINE = """[engines.llama]
kind = "openai"
health = "/health"
environment = ["PYTHONPATH"]
command = ["python3", "{script}", "{{model_path}}", "{{port}}", "{{context}}", "{{parallel}}", "{{threads}}"]
arguments = {{ parallel = {{ integer = [1, 8], default = 4 }}, context = {{ integer = [256, 8192], default = 4096 }} }}
"""
EXPERIMENT = {
    "model_name": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "prompts": {"dataset": "short-32", "count": 16},
    "max_output_tokens": 32,
    "min_output_tokens": 32,
    "num_cycles": 3,
    "warmup_iterations": 3,
}
RUNS = [
    ("mistral.rs", {}),
    ("llama.cpp", {"engine": "llama", "batch_size": 1}),
    ("llama.cpp", {"engine": "llama", "batch_size": 4}),
]


def busy_and_all():
    fields = [int(field) for field in open("/proc/stat").readline().split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def simulate(zone):
    """Moves a package's counter for as long as the program runs."""
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    counter = os.open(zone / "energy_uj", os.O_CREAT | os.O_RDWR)
    os.pwrite(counter, b"%020d\n" % 0, 0)

    def run():
        joules, share, before, last = 0.0, 0.0, busy_and_all(), time.monotonic()
        for tick in range(1, 1 << 62):
            now = time.monotonic()
            joules += (5 + 15 * share) * (now - last)
            last = now
            if tick % 50 == 0 and (after := busy_and_all())[1] > before[1]:
                share = (after[0] - before[0]) / (after[1] - before[1])
                before = after
            os.pwrite(counter, b"%020d\n" % int(joules * 1e6), 0)
            time.sleep(0.001)

    threading.Thread(target=run, daemon=True).start()


def call(url, document=None):
    body = json.dumps(document).encode() if document else None
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def row(url, name, changes):
    experiment = call(f"{url}/v1/experiments", {**EXPERIMENT, **changes})["id"]
    while (shown := call(f"{url}/v1/experiments/{experiment}"))["state"] not in ("completed", "failed", "cancelled"):
        time.sleep(1)
    if shown["state"] != "completed":
        raise SystemExit(f"{name}: {shown['failure']['message']}")
    results = call(f"{url}/v1/experiments/{experiment}/results")
    inference, energy, efficiency = results["inference"], results["energy"], results["efficiency"]
    return (
        f"| {name} | {changes.get('batch_size', 1)} | {inference['output_throughput']:.1f} | {inference['mean_ttft_ms']:.0f} "
        f"| {inference['mean_tpot_ms']:.1f} | {efficiency['joules_per_output_token']:.3f} "
        f"| {energy['cpu_energy_j']:.0f} of {energy['host_cpu_energy_j']:.0f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "target/release/joulemark")
    parser.add_argument("--models", default=ROOT / "models")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = pathlib.Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        simulate(folder / "powercap/intel-rapl:0")
        (folder / "joulemark.toml").write_text(ENGINE.format(script=ROOT / "tests/servers/llama.py"))
        options = {
            "--config": folder / "joulemark.toml",
            "--listen": f"127.0.0.1:{port}",
            "--database-url": f"sqlite://{folder}/joulemark.db",
            "--lock-dir": folder / "locks",
            "--models-dir": arguments.models,
            "--rapl-root": folder / "powercap",
            "--nvml-lib": "/nonexistent",
        }
        words = [str(word) for option in options.items() for word in option]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "target/tools/xllamacpp")}
        log = open(folder / "log", "w")
        server = subprocess.Popen(
            [arguments.program, "serve", *words], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        url = server.stdout.readline().split()[-1]
        print("| engine | in flight | tokens/s | TTFT, ms | TPOT, ms | J/token | J of the engine and of the host |")
        print("|---|---|---|---|---|---|---|")
        try:
            for engine, changes in RUNS:
                print(row(url, engine, changes), flush=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


main()
