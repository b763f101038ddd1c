"""Posts one experiment, shows how it comes along, prints its metrics and how to go on. Standard library only.

Usage: quickstart.py BASE_URL MODEL_NAME
"""

import json
import signal
import sys
import time
import urllib.error
import urllib.request

POLL_SECONDS = 0.3
GROUPS = ["inference", "energy", "compute", "efficiency", "validation"]


def request(url, body=None):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    data = json.dumps(body).encode() if body is not None else None
    # The server is on this host: a proxy of the environment has no business here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data, headers), timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            text = json.dumps(json.loads(text), indent=2)
        except ValueError:
            pass
        sys.exit(f"{url} answered {error.code}:\n{text}")
    except OSError as error:
        sys.exit(f"{url} does not answer: {error}")


def describe(experiment):
    progress = experiment.get("progress") or {}
    words = [experiment["state"]]
    if progress.get("cycle") is not None:
        words.append(f"cycle {progress['cycle'] + 1} of {progress['num_cycles']}")
    if progress.get("generated_tokens"):
        words.append(f"{progress['generated_tokens']} tokens")
    return ", ".join(words)


def follow(url):
    """Polls until the end; one line a state, rewritten in place on a terminal."""
    begun = time.monotonic()
    last_state = None
    while True:
        experiment = request(url)
        state = experiment["state"]
        line = f"   {time.monotonic() - begun:5.1f} s  {describe(experiment)}"
        if sys.stdout.isatty():
            lead = "\r\x1b[K" if state == last_state else ("\n" if last_state else "")
            print(lead + line, end="", flush=True)
        elif state != last_state:
            print(line, flush=True)
        last_state = state
        if state in ("completed", "failed", "cancelled"):
            if sys.stdout.isatty():
                print()
            return experiment
        time.sleep(POLL_SECONDS)


def shown(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.4g}"
    return f"{value:,.3f}"


def print_results(results):
    reasons = " ".join(warning["message"] for warning in results["validation"]["warnings"])
    for group in GROUPS:
        print(f"\n{group}")
        for key, value in results[group].items():
            if value is None:
                print(f"  {key:<28} null{' (reason in warnings)' if key in reasons else ''}")
            elif not isinstance(value, (dict, list)):
                print(f"  {key:<28} {shown(value)}")
    print("\nenergy.sources")
    for source in results["energy"]["sources"]:
        joules = source.get("energy_j")
        subject = source.get("zone") or source.get("gpu_uuid") or "host"
        energy = "unknown" if joules is None else f"{shown(joules)} J"
        if joules is not None and source.get("uncertainty_j") is not None:
            energy += f" ± {shown(source['uncertainty_j'])} J"
        scope = source.get("scope", "")
        print(f"  {source['source']}, confidence {source['confidence']}: {source.get('domain')} of {subject} ({scope}), {energy}")
    if not results["energy"]["sources"]:
        print("  none")
    print("\nvalidation.warnings")
    for warning in results["validation"]["warnings"]:
        print(f"  {warning['code']}: {warning['message']}")
    if not results["validation"]["warnings"]:
        print("  none")


def main():
    base, model = sys.argv[1:]
    print("-- experiment")
    experiment = request(f"{base}/v1/experiments", {
        "config_name": "quickstart",
        "model_name": model,
        "prompts": {"dataset": "short-32", "count": 4},
        "max_output_tokens": 32,
        "min_output_tokens": 32,
        "num_processes": 1,
        "warmup_iterations": 3,
        "num_cycles": 3,
        "labels": {},
    })
    url = f"{base}/v1/experiments/{experiment['id']}"
    print(f"   {url}")
    try:
        experiment = follow(url)
    except KeyboardInterrupt:
        # Otherwise it would go back to the queue and the next run would wait for it.
        request(f"{url}/cancel", {})
        raise
    if experiment["state"] != "completed":
        print(json.dumps(experiment.get("failure") or experiment, indent=2), file=sys.stderr)
        sys.exit(f"the experiment is {experiment['state']}")
    print_results(request(f"{url}/results"))
    print(f"""
go on with
  curl -s {url}/results        # everything above and more, as JSON
  curl -s {url}/processes      # raw: each rank, cycle, request and token
  curl -s {base}/v1/experiments          # all experiments, newest first
  curl -s {base}/openapi.json            # every field and route
  curl -s {base}/v1/experiments -H 'Content-Type: application/json' \\
    -d '{{"model_name": "{model}", "num_processes": 2, "max_output_tokens": 64}}'""")


signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
