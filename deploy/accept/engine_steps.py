"""Steps that run the models through the service, and mistral.rs by itself with the same batch."""

import json
import os
import subprocess

from report import NotApplicable, OutOfTime
from service import Refused

MIN_ENGINE_RATIO = 0.97
# Of the time of a token.
MAX_TAP_PERCENT = 2.0
DIRECT_WAVES = 3


def batch(step, setting, name, size):
    """Runs one model at one batch size, and then mistral.rs by itself."""
    amounts = setting.amounts
    experiment = setting.experiment(name, size, amounts["waves"], cycles=amounts["cycles"])
    try:
        identity = setting.service.submit(experiment)
    except Refused as refusal:
        if setting.is_simulated and refusal.pointers == ["/batch_size"]:
            raise NotApplicable(f"mistral.rs batches on GPUs alone, and these are simulated: {refusal}") from refusal
        raise
    results = setting.service.results(identity, setting.report.left_sec())
    served(step, results, size)
    roofline(step, results)
    direct(step, setting, experiment, results)


def served(step, results, size):
    inference, efficiency = results["inference"], results["efficiency"]
    step.check("output throughput", inference["output_throughput"], "tokens/s", above=0.0)
    step.check("mean TTFT", inference["mean_ttft_ms"], "ms", above=0.0)
    step.check("median ITL", inference["median_itl_ms"], "ms", above=0.0)
    step.check("energy", efficiency["joules_per_output_token"], "J/token", above=0.0)
    check = results["batch_check"]
    if size == 1:
        step.skip("batch check", "one sequence is no batch")
    elif check is None:
        step.check("batch check, largest difference", None, None)
    else:
        step.check("batch check, largest difference", check["largest_difference"], "roundings",
                   f"{check['verdict']}, {check['compared_tokens']} tokens compared", at_most=check["bound"])


def roofline(step, results):
    found = results["compute"]["roofline"]
    checks = [("MFU", "model_flops_utilization"), ("roofline share", "roofline_share")]
    for what, name in checks:
        if found is None:
            step.skip(what, "the peaks of this board are not known")
        else:
            step.check(what, found[name], None, f"of {found['device']}, {found['precision']}", above=0.0, at_most=1.0)


def direct(step, setting, experiment, results):
    """Holds the served rate against mistral.rs called directly, and what the tap costs it."""
    program = setting.program()
    if not program or subprocess.run([program, "direct", "--help"], capture_output=True, timeout=30, check=False).returncode != 0:
        step.skip("engine ratio and tap", "this program cannot run mistral.rs by itself")
        return
    command = [
        program, "direct", os.path.join(setting.models, experiment["model_name"]), "--waves", str(DIRECT_WAVES),
        "--batch-size", str(experiment["batch_size"]), "--output-tokens", str(experiment["max_output_tokens"]),
        "--input-tokens", str(experiment["prompts"]["synthetic"]["input_tokens"]),
    ] + (["--on-cpu"] if setting.is_simulated else [])
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES=setting.nvml.gpus[0].uuid)
    try:
        answer = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=max(1, setting.report.left_sec()))
    except subprocess.TimeoutExpired as late:
        raise OutOfTime from late
    if answer.returncode != 0:
        raise RuntimeError(f"mistral.rs by itself: {answer.stderr.decode(errors='replace').strip()[-300:]}")
    alone = json.loads(answer.stdout.splitlines()[-1])
    plain, tapped = alone["plain_tokens_per_second"], alone["tapped_tokens_per_second"]
    step.check("engine ratio, served to mistral.rs by itself", results["inference"]["output_throughput"] / plain, None,
               f"{plain:.1f} tokens/s by itself", at_least=MIN_ENGINE_RATIO)
    step.check("cost of the tap, of a token's time", 100 * (plain / tapped - 1), "%", at_most=MAX_TAP_PERCENT)
