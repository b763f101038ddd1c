"""Steps on what experiments leave each other: two boards, a killed worker, a cancelled experiment."""

import os
import signal
import time

import trace
from meter_steps import served_against_integral
from report import NotApplicable
from setting import RANDOM_LLAMA

MAX_CANCEL_SEC = 2.0
MAX_LEFT_MIB = 16.0
# A driver takes a moment to free what a process left.
FREED_WITHIN_SEC = 10.0
LOOK_SEC = 0.02


def two_gpus(step, setting):
    """Runs two experiments on two boards and holds each one's energy against its own board's."""
    gpus = setting.nvml.gpus[:2]
    if len(gpus) < 2:
        raise NotApplicable("there is one GPU")
    traces = [trace.Trace(gpu) for gpu in gpus]
    for own in traces:
        own.start()
    try:
        ids = [setting.service.submit(experiment) for experiment in setting.pair()]
        for identity in ids:
            setting.service.results(identity, setting.report.left_sec())
    finally:
        for own in traces:
            own.has_ended.set()
    windows = []
    for gpu, own, identity in zip(gpus, traces, ids):
        window, served_j = setting.service.windows(identity)[0]
        start, end = window["start_monotonic_sec"], window["end_monotonic_sec"]
        what = f"energy of the experiment on GPU {gpu.index} against its own board's"
        served_against_integral(step, what, own.stop().readings, window, served_j)
        windows.append((start, end))
    together_sec = min(end for _, end in windows) - max(start for start, _ in windows)
    step.check("both measured at once", together_sec, "s", of_gpu=False, above=0.0)


def killed_worker(step, setting):
    """Kills a worker in mid-run and looks at what is left of it on its board."""
    gpu, service = setting.nvml.gpus[0], setting.service
    before = gpu.used_bytes()
    identity = service.submit(setting.long_experiment())
    state = service.until(identity, ["measuring"], setting.report.left_sec())
    if state["state"] != "measuring":
        raise RuntimeError(f"the experiment {state['state']}: {state.get('failure')}")
    held = gpu.used_bytes() - before
    workers = service.workers()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    step.check("memory of the GPU that it held", in_mib(held), "MiB", f"{len(workers)} processes", above=0.0)
    ended = service.until(identity, [], FREED_WITHIN_SEC + 5)
    step.check("the experiment ends as", ended["state"], None, (ended.get("failure") or {}).get("message"), of_gpu=False,
               equal="failed")
    left = wait_until_at_most(lambda: in_mib(gpu.used_bytes() - before), MAX_LEFT_MIB, FREED_WITHIN_SEC)
    step.check("memory of the GPU that it leaves behind", left, "MiB", at_most=MAX_LEFT_MIB)
    remaining = sorted(set(gpu.pids()) & set(workers))
    step.check("its processes on the GPU", len(remaining), None, equal=0)


def cancel(step, setting):
    """Cancels an experiment in mid-run."""
    service = setting.service
    identity = service.submit(setting.long_experiment())
    service.until(identity, ["measuring"], setting.report.left_sec())
    begun = time.monotonic()
    service.cancel(identity)
    state = service.until(identity, [], 30)
    step.check("until it is cancelled", time.monotonic() - begun, "s", state["state"], of_gpu=False, at_most=MAX_CANCEL_SEC)
    while service.workers() and time.monotonic() < begun + 30:
        time.sleep(LOOK_SEC)
    step.check("until its processes are gone", time.monotonic() - begun, "s", of_gpu=False, at_most=MAX_CANCEL_SEC)
    step.check("it ends as", state["state"], None, of_gpu=False, equal="cancelled")


def in_mib(size):
    return size / (1 << 20)


def wait_until_at_most(read, bound, patience_sec):
    """Returns what is read last: as soon as it keeps the bound, or when patience ends."""
    deadline = time.monotonic() + patience_sec
    while (value := read()) > bound and time.monotonic() < deadline:
        time.sleep(LOOK_SEC)
    return max(0.0, value)
