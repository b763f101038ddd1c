"""Steps that hold the meter against readings of our own: doctor, counter, refresh, averaging, overhead."""

import shutil
import statistics
import subprocess
import time

import trace
from setting import RANDOM_LLAMA

# NVIDIA states ±5 % for its power readings; the counter sums what the same sensor reads.
MAX_DEVIATION_PERCENT = 5.0
# nvidia-smi reads ten times a second, and power moves meanwhile.
MAX_SMI_DEVIATION_PERCENT = 10.0
# Of one core, with the service at rest and its meter reading as usual.
MAX_METER_CPU_PERCENT = 2.0
# From this compute capability on `nvmlDeviceGetPowerUsage` averages over a second (docs/methodology.md).
AVERAGES_FROM = (8, 6)


def doctor(step, setting):
    found = setting.doctor
    step.check("a source measures", found["measures"], None, equal=True)
    for gpu in found["gpus"]:
        step.check(f"energy of GPU {gpu['index']} is known by", gpu["energy_method"], None, note=gpu["problem"],
                   equal="energy_counter")
    if setting.is_simulated:
        step.skip("a program computes on each GPU", "the GPUs are simulated, and the program for the CPU stands in")
        return
    for gpu in found["gpu_programs"]:
        program = gpu["program"] and gpu["program"].rsplit("/", 1)[-1]
        step.check(f"a program computes on GPU {gpu['gpu']}", program is not None, None, note=gpu["problem"] or program, equal=True)


def idle(step, setting):
    first = None
    for gpu in setting.nvml.gpus[:2]:
        with Smi(setting, gpu) as smi:
            readings = trace.of(gpu, setting.amounts["idle_sec"]).readings
        first = first or readings
        own = f"GPU {gpu.index} idle"
        step.check(f"{own}, readings a second", trace.rate_hz(readings), "Hz", above=100.0)
        deviations(step, own, readings, smi)
    refresh(step, setting, setting.nvml.gpus[0], first)


def under_load(step, setting):
    """Watches the first board from before the load of a model to the end of a run."""
    gpu, amounts = setting.nvml.gpus[0], setting.amounts
    batch = 1 if setting.is_simulated else 8
    experiment = setting.experiment(RANDOM_LLAMA, batch, amounts["load_waves"], amounts["load_output"])
    watching, begun = trace.Trace(gpu), time.monotonic()
    with Smi(setting, gpu) as smi:
        watching.start()
        try:
            identity = setting.service.submit(experiment)
            setting.service.results(identity, setting.report.left_sec())
            time.sleep(max(0.0, trace.SHORTEST_SEC - (time.monotonic() - begun)))
        finally:
            watching.has_ended.set()
    readings = watching.stop().readings
    deviations(step, "GPU 0 under load", readings, smi)
    averaging(step, gpu, readings)
    for window, served_j in setting.service.windows(identity):
        served_against_integral(step, "served gpu_energy_j against the integral over its window", readings, window, served_j)


def served_against_integral(step, what, readings, window, served_j):
    """Holds a served energy against our readings of the same window; what the refresh of power leaves open is allowed for."""
    ours_j = trace.energy_between(readings, window["start_monotonic_sec"], window["end_monotonic_sec"])
    if not ours_j or served_j is None:
        step.check(what, None, "%", f"served {served_j} J, integral {ours_j} J")
        return
    open_percent = 100 * trace.spread_j(readings) / ours_j
    step.check(what, 100 * abs(served_j / ours_j - 1), "%", f"served {served_j:.1f} J, integral {ours_j:.1f} J, {open_percent:.1f} % "
               "of it open for the refresh of instant power", at_most=round(MAX_DEVIATION_PERCENT + open_percent, 3))


def deviations(step, own, readings, smi):
    counter_j, integral_j = trace.counter_against_integral(readings)
    note = f"{counter_j:.1f} J counted, {integral_j:.1f} J integrated of {len(readings)} readings"
    deviation = 100 * abs(counter_j / integral_j - 1) if integral_j > 0 else None
    step.check(f"{own}, counter against the integral of instant power", deviation, "%", note, at_most=MAX_DEVIATION_PERCENT)
    if smi.why_not:
        step.skip(f"{own}, nvidia-smi against instant power", smi.why_not)
        return
    ours_w = statistics.fmean(reading[2] for reading in readings)
    theirs_w = smi.mean_w()
    percent = theirs_w and 100 * abs(theirs_w / ours_w - 1)
    step.check(f"{own}, nvidia-smi against instant power", percent, "%", f"{theirs_w} W and {ours_w:.1f} W",
               at_most=MAX_SMI_DEVIATION_PERCENT)


def refresh(step, setting, gpu, readings):
    """Holds the counter's refresh period against the one that the meter found."""
    ours_ms = trace.refresh_ms(readings, 1)
    source = next(source for source in setting.doctor["sources"] if source["gpu"] == gpu.index)
    theirs_ms = source["refresh_ms"]
    power_ms = trace.refresh_ms(readings, 2)
    step.check("refresh period of the counter", ours_ms, "ms", f"the meter found {theirs_ms} ms", above=0.0)
    if power_ms is None:
        step.skip("refresh period of instant power", "instant power moved less than ten times")
    else:
        step.check("refresh period of instant power", power_ms, "ms", above=0.0)
    if theirs_ms is None:
        # It tells none where the counter moves between any two of its readings.
        step.check("refresh period where the meter tells none", ours_ms, "ms", at_most=2 * source["interval_ms"] + 2)
    else:
        step.check("the meter's refresh period against ours", 100 * abs(theirs_ms / ours_ms - 1), "%", at_most=20.0)


def averaging(step, gpu, readings):
    length_sec = trace.averaging_sec(readings)
    what = "averaging length of nvmlDeviceGetPowerUsage"
    if length_sec is None:
        step.skip(what, "instant power is too even, or was read too shortly, to tell")
    elif gpu.capability >= AVERAGES_FROM:
        step.check(what, length_sec, "s", "the meter takes it for 1 s from 8.6 on", at_least=0.75, at_most=1.25)
    else:
        step.check(what, length_sec, "s", "the meter takes it for instant up to 8.0", at_most=0.1)


def overhead(step, setting):
    begun, before_sec = time.monotonic(), setting.service.cpu_sec()
    time.sleep(setting.amounts["rest_sec"])
    used_sec = setting.service.cpu_sec() - before_sec
    percent = 100 * used_sec / (time.monotonic() - begun)
    step.check("CPU of the service at rest, its meter reading, of one core", percent, "%", of_gpu=False,
               at_most=MAX_METER_CPU_PERCENT)


class Smi:
    """nvidia-smi beside a trace, ten times a second."""

    def __init__(self, setting, gpu):
        self.why_not = None
        if setting.is_simulated:
            self.why_not = "the GPUs are simulated"
        elif not shutil.which("nvidia-smi"):
            self.why_not = "there is no nvidia-smi"
        self.command = ["nvidia-smi", "-i", gpu.uuid, "--query-gpu=power.draw.instant", "--format=csv,noheader,nounits", "-lms", "100"]
        self.process = None
        self.watts = []

    def __enter__(self):
        if not self.why_not:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            lines = self.process.communicate()[0].splitlines()
            for line in lines:
                try:
                    self.watts.append(float(line))
                except ValueError:
                    continue

    def mean_w(self):
        return round(statistics.fmean(self.watts), 1) if self.watts else None
