"""The acceptance of a GPU box; deploy/accept-gpu.sh says what it is for."""

import argparse
import os
import platform
import shutil
import sys
import tempfile

import engine_steps
import isolation_steps
import meter_steps
import power_steps
from nvml import Nvml, NvmlError
from report import FAIL, Report, place, write
from service import Service
from setting import RANDOM_LLAMA, SMOLLM2, Programs, Setting

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
HARDWARE = os.path.join(ROOT, "docs/hardware")
# Below the ten and the four minutes: what ends late still ends in time.
LIMITS_SEC = {False: 570, True: 220}
CANNOT_RUN = 2


def arguments():
    parser = argparse.ArgumentParser(prog="accept-gpu.sh", description="Proves on a GPU box that joulemark measures it.")
    built = os.path.join(os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"), "release")
    parser.add_argument("--quick", action="store_true", help="below 4 minutes in place of 10")
    parser.add_argument("--output", default=".", help="folder for hardware-report.json and .md (%(default)s)")
    parser.add_argument("--programs", default=built if os.path.exists(built) else "/usr/local/bin",
                        help="folder of joulemark and its engines (%(default)s)")
    parser.add_argument("--models", default=os.path.join(ROOT, "models"), help=f"folder of {SMOLLM2} (%(default)s)")
    parser.add_argument("--nvml-lib", default=os.environ.get("JOULEMARK_NVML_LIB") or "libnvidia-ml.so.1",
                        help="NVML (%(default)s); a mock makes every figure of a GPU simulated")
    parser.add_argument("--power-control", default=os.environ.get("JOULEMARK_POWER_CONTROL", ""),
                        help="who sets power limits, as joulemark serve takes it: three of them are swept (%(default)s)")
    return parser.parse_args()


def run(options, nvml, report):
    folder = tempfile.mkdtemp(prefix="joulemark-accept-")
    setting = Setting(Programs(options.programs), nvml, report, folder)
    try:
        setting.doctor = setting.programs.doctor(options.nvml_lib)
        parameters = setting.make_models(options.models)
        report.host = host(setting, parameters)
        setting.service = Service(setting.programs, folder, options, setting.is_simulated)
        steps(setting)
    finally:
        if setting.service:
            setting.service.end()
        shutil.rmtree(folder, ignore_errors=True)


def host(setting, parameters):
    gpus = [{"name": gpu.name, "uuid": gpu.uuid, "compute_capability": "%d.%d" % gpu.capability} for gpu in setting.nvml.gpus]
    engines = [engine for engine in setting.doctor["engines"] if engine["works"]]
    return {
        "gpus": gpus,
        "driver": setting.nvml.driver,
        "kernel": platform.release(),
        "cpu": setting.doctor["cpu"]["model"],
        "logical_cpus": setting.doctor["cpu"]["logical_cpus"],
        "engines": [f"{os.path.basename(each['program'])} {each['version']}, mistral.rs {each['engine_version']}, "
                    f"features {each['features']}" for each in engines],
        "random_llama_parameters": parameters,
    }


def steps(setting):
    """Runs the short steps first, so that the batches have what is left of the time."""
    report, amounts = setting.report, setting.amounts
    boards = len(setting.nvml.gpus[:2])
    report.step("doctor", 0, meter_steps.doctor, setting)
    report.step("counter and power at idle", boards * amounts["idle_sec"] + 1, meter_steps.idle, setting)
    report.step("meter overhead", amounts["rest_sec"], meter_steps.overhead, setting)
    report.step("counter and power under load", 15, meter_steps.under_load, setting)
    report.step("cancel", 10, isolation_steps.cancel, setting)
    report.step("killed worker", 15, isolation_steps.killed_worker, setting)
    report.step("two GPUs", 15, isolation_steps.two_gpus, setting)
    report.step("three power limits", 30, power_steps.three_limits, setting)
    for name in (RANDOM_LLAMA, SMOLLM2):
        for size in (1, 8, 64):
            words = f"{name.removesuffix('.gguf')}, batch {size}"
            report.step(words, 15, engine_steps.batch, setting, name, size)


def main():
    options = arguments()
    try:
        nvml = Nvml(options.nvml_lib)
    except (OSError, NvmlError) as error:
        print(f"error: NVML cannot be used: {error}", file=sys.stderr)
        return CANNOT_RUN
    if not nvml.gpus:
        print("error: NVML finds no GPU", file=sys.stderr)
        return CANNOT_RUN
    if nvml.is_mock and os.path.realpath(options.output).startswith(os.path.realpath(HARDWARE)):
        print("error: a report with simulated figures is not placed in docs/hardware", file=sys.stderr)
        return CANNOT_RUN
    report = Report(options.quick, LIMITS_SEC[options.quick], nvml.is_mock)
    try:
        run(options, nvml, report)
    except (OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return CANNOT_RUN
    document = report.document()
    for path in write(document, options.output, "hardware-report"):
        print(path)
    try:
        print("placed: " + " and ".join(place(document, HARDWARE)))
    except ValueError as reason:
        print(f"not placed in docs/hardware: {reason}")
    print(f"{document['verdict']}: {document['counts']}")
    return 1 if document["verdict"] == FAIL else 0


if __name__ == "__main__":
    sys.exit(main())
