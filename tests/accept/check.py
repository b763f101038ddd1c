"""Runs deploy/accept-gpu.sh on the mock NVML and the CPU's engine, once as a box that is well and once with faults planted.

Usage: check.py PROGRAMS MODELS, the folders of the built programs and of SmolLM2."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
WELL = {
    "devices": "2", "shape": "sine:250:100:1.7,step:100:300:1.1", "refresh_ms": "20", "average_ms": "1000",
    "compute_capability": "9.0",
}
# Rates of a CPU that other checks use as well say nothing: these lines may fall either way.
RATES = ("engine ratio", "cost of the tap", "CPU of the service at rest", "until ", "readings a second")
# Holds memory of the board while it lives, as a worker that computes there does.
ENGINE = """#!/bin/sh
case $1 in --describe | direct) ;; *) echo "0 $$ 600" >>{memory} ;; esac
exec {engine} "$@"
"""


def main():
    programs, models = map(os.path.realpath, sys.argv[1:])
    with tempfile.TemporaryDirectory() as both, concurrent.futures.ThreadPoolExecutor() as pool:
        library = os.path.join(both, "libmock_nvml.so")
        subprocess.run(["rustc", "--edition", "2024", "--crate-type", "cdylib", "--crate-name", "mock_nvml", "-O", "-o", library,
                        os.path.join(ROOT, "tests/mock_nvml/src/lib.rs")], check=True)
        folders = [os.path.join(both, name) for name in ("well", "faulty")]
        for folder in folders:
            lay_programs(folder, programs, library)
        # Side by side: most of it waits for time to pass.
        runs = [pool.submit(well, folders[0], models), pool.submit(faulty, folders[1])]
        for run in runs:
            run.result()
        refused(folders[0])
    print("accept-gpu.sh passes a box that is well, fails one that is not, and places neither's report")


def lay_programs(folder, programs, library):
    """Lays the mock and the service beside an engine whose processes hold memory of it."""
    os.mkdir(folder)
    shutil.copy(library, folder)
    os.symlink(os.path.join(programs, "joulemark"), os.path.join(folder, "joulemark"))
    engine = os.path.join(folder, "joulemark-mistral")
    with open(engine, "w", encoding="utf-8") as file:
        file.write(ENGINE.format(memory=os.path.join(folder, "memory"), engine=os.path.join(programs, "joulemark-mistral")))
    os.chmod(engine, 0o755)


def well(folder, models):
    status, report, page = accept(folder, WELL, models)
    lines = report["lines"]
    assert report["simulated"] is True and report["quick"] is True, report
    for line in lines:
        assert line["verdict"] in ("pass", "fail", "not applicable"), line
        assert (line["figure"] is None) == (line["unit"] is None and line["bound"] is None) or line["bound"], line
        assert line["verdict"] != "not applicable" or line["note"], f"it does not say why: {line}"
        assert f"| {line['step']} | {line['check']} |" in page, line
    of_host = [line["check"] for line in lines if line["figure"] is not None and not line["simulated"]]
    assert all(check.startswith(("CPU of the service", "until ", "it ends as", "the experiment ends", "both measured"))
               for check in of_host), of_host
    failed = [line for line in lines if line["verdict"] == "fail" and not line["check"].startswith(RATES)]
    assert not failed, failed
    assert status == (1 if report["counts"]["fail"] else 0), (status, report["counts"])
    passed = [(line["step"], line["check"]) for line in lines if line["verdict"] == "pass"]
    for step, check in [
        ("doctor", "a source measures"),
        ("counter and power at idle", "GPU 1 idle, counter against the integral"),
        ("counter and power at idle", "the meter's refresh period against ours"),
        ("counter and power under load", "averaging length"),
        ("counter and power under load", "served gpu_energy_j against the integral"),
        ("killed worker", "memory of the GPU that it held"),
        ("killed worker", "memory of the GPU that it leaves behind"),
        ("cancel", "it ends as"),
        ("two GPUs", "both measured at once"),
        ("random-llama, batch 1", "output throughput"),
        ("SmolLM2-135M-Instruct.Q4_1, batch 1", "median ITL"),
    ]:
        assert any(own == step and name.startswith(check) for own, name in passed), f"{step}: {check} is not passed"


def faulty(folder):
    """Power readings 10 % above the counter on the first board, and a driver that keeps what a killed worker held."""
    status, report, _ = accept(folder, {**WELL, "power_scale": "1.1,1", "memory_stays": "1"}, folder)
    failed = [f"{line['step']}: {line['check']}" for line in report["lines"] if line["verdict"] == "fail"]
    assert status == 1 and report["verdict"] == "fail", (status, report["verdict"])
    for fault in [
        "counter and power at idle: GPU 0 idle, counter against the integral",
        "counter and power under load: served gpu_energy_j against the integral",
        "two GPUs: energy of the experiment on GPU 0",
        "killed worker: memory of the GPU that it leaves behind",
    ]:
        assert any(line.startswith(fault) for line in failed), f"{fault} does not fail: {failed}"
    assert not any("GPU 1" in line for line in failed), failed


def refused(folder):
    """A report of a mock is not written into docs/hardware, and without NVML there is none."""
    hardware = os.path.join(ROOT, "docs/hardware")
    before = os.listdir(hardware)
    answer = start(folder, ["--output", hardware])
    assert answer.returncode == 2 and "simulated" in answer.stderr, answer
    answer = start(folder, ["--nvml-lib", os.path.join(folder, "none.so")])
    assert answer.returncode == 2 and "NVML cannot be used" in answer.stderr, answer
    assert os.listdir(hardware) == before, "it places a simulated report"


def accept(folder, switches, models):
    """Returns the exit status, the report and the page."""
    with open(os.path.join(folder, "libmock_nvml.so.conf"), "w", encoding="utf-8") as file:
        file.writelines(f"{key}={value}\n" for key, value in {**switches, "memory_file": os.path.join(folder, "memory")}.items())
    with open(os.path.join(folder, "memory"), "w", encoding="utf-8"):
        pass
    answer = start(folder, ["--quick", "--output", folder, "--models", models])
    if answer.returncode not in (0, 1):
        sys.exit(answer.stdout + answer.stderr)
    assert "not placed in docs/hardware" in answer.stdout, answer.stdout
    with open(os.path.join(folder, "hardware-report.json"), encoding="utf-8") as file:
        report = json.load(file)
    with open(os.path.join(folder, "hardware-report.md"), encoding="utf-8") as file:
        return answer.returncode, report, file.read()


def start(folder, options):
    command = [os.path.join(ROOT, "deploy/accept-gpu.sh"), "--programs", folder]
    if "--nvml-lib" not in options:
        command += ["--nvml-lib", os.path.join(folder, "libmock_nvml.so")]
    return subprocess.run(command + options, capture_output=True, text=True, timeout=300, check=False)


if __name__ == "__main__":
    main()
