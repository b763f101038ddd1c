"""A sweep over three power limits of the first board, where somebody may set them."""

import time

from report import NotApplicable, OutOfTime
from setting import RANDOM_LLAMA

SETTLE_SEC = 30
LOOK_SEC = 0.2
# NVML sets whole watts; what a board draws under a limit swings about it.
SAME_W = 1.0
MOST_OVER_SHARE = 1.05
METRICS = ("gpu_energy_j", "output_throughput", "joules_per_output_token")


def three_limits(step, setting):
    """Runs the same work under three limits, and looks at what was in force, what was drawn, and what is left set."""
    if setting.report.is_quick:
        raise NotApplicable("left out by --quick")
    service = setting.service
    board = service.ask("/v1/devices")[1]["gpus"][0]
    limits = board["power_limits"]
    if not service.power_control:
        raise NotApplicable("nobody sets power limits: --power-control")
    if limits is None:
        raise NotApplicable("the board has no power limit to set")
    before_w = board["now"]["power_limit_w"]
    highest_w = limits["default_w"] or limits["max_w"]
    caps = [limits["min_w"], round((limits["min_w"] + highest_w) / 2), highest_w]
    base = setting.experiment(RANDOM_LLAMA, 1, setting.amounts["load_waves"], setting.amounts["load_output"])
    base["settle"] = {"until": "steady", "max_sec": SETTLE_SEC}
    status, sweep = service.ask("/v1/sweeps", {"base": base, "axes": {"power_limit_w": caps}})
    if status != 201:
        raise RuntimeError(f"the sweep is refused: {sweep.get('errors') or sweep.get('detail')}")
    table = until_swept(service, sweep["id"], setting.report.left_sec())
    for cap_w, row in zip(caps, table):
        results = service.results(row["experiments"][0], 1)
        step.check(f"{cap_w:.0f} W: the limit in force", results["power_limit_w"], "W", equal=cap_w)
        drawn_w = results["energy"]["gpu_energy_j"] / results["energy"]["duration_sec"]
        step.check(f"{cap_w:.0f} W: power drawn", drawn_w, "W", at_most=MOST_OVER_SHARE * cap_w)
        for name, unit in (("output_throughput", "tokens/s"), ("joules_per_output_token", "J/token")):
            step.check(f"{cap_w:.0f} W: {name}", row["metrics"][name]["mean"], unit, above=0.0)
    after_w = setting.nvml.gpus[0].power_limit_w()
    step.check("the limit afterwards against that before", abs(after_w - before_w), "W", at_most=SAME_W)


def until_swept(service, identity, patience_sec):
    """Returns the sweep's table once nothing of it runs. One that takes too long is cancelled."""
    deadline = time.monotonic() + patience_sec
    query = f"/v1/sweeps/{identity}"
    while service.ask(f"{query}?fields=state")[1]["state"] == "running":
        if time.monotonic() > deadline:
            service.ask(f"{query}/cancel", {})
            raise OutOfTime
        time.sleep(LOOK_SEC)
    sweep = service.ask(f"{query}?metrics={','.join(METRICS)}")[1]
    if sweep["progress"]["completed"] != sweep["progress"]["experiments"]:
        raise RuntimeError(f"not all points were completed: {sweep['progress']}")
    return sweep["table"]
