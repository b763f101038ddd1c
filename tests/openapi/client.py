"""A program as a lab would write it: submits, waits, reads results, and meets an error, all through generated types."""

import os
import time
from uuid import UUID

from joulemark_client import AuthenticatedClient
from joulemark_client.api.experiments import get_experiment, get_results, list_experiments, submit_experiment
from joulemark_client.models import (
    DatasetPrompts,
    Experiment,
    ExperimentPage,
    ExperimentRequest,
    ExperimentRequestLabelsType0,
    Problem,
    Results,
    State,
)

FINAL = (State.COMPLETED, State.FAILED, State.CANCELLED)


def wait(client: AuthenticatedClient, experiment: UUID, patience_sec: float) -> State:
    end = time.monotonic() + patience_sec
    while True:
        shown = get_experiment.sync(experiment, client=client)
        assert isinstance(shown, Experiment), shown
        if shown.state in FINAL or time.monotonic() > end:
            assert shown.failure is None, shown.failure
            return shown.state
        time.sleep(0.2)


def main() -> None:
    client = AuthenticatedClient(base_url=os.environ["SERVER_URL"], token=os.environ["SERVER_KEY"])
    labels = ExperimentRequestLabelsType0()
    labels["client"] = "python"
    request = ExperimentRequest(
        model_name="SmolLM2-135M-Instruct.Q4_1.gguf",
        prompts=DatasetPrompts(dataset="short-32", count=2),
        max_output_tokens=4,
        min_output_tokens=4,
        warmup_iterations=0,
        num_cycles=1,
        idle_baseline_sec=0,
        labels=labels,
    )
    submitted = submit_experiment.sync(client=client, body=request)
    assert isinstance(submitted, Experiment), submitted
    assert wait(client, submitted.id, 120) is State.COMPLETED

    results = get_results.sync(submitted.id, client=client)
    assert isinstance(results, Results), results
    joules: float | None = results.energy.total_energy_j
    tokens: int | None = results.inference.output_tokens
    assert tokens == 8 and (joules is None or joules > 0)

    page = list_experiments.sync(client=client, label=["client=python"], limit=1)
    assert isinstance(page, ExperimentPage) and page.items[0].id == submitted.id

    refused = submit_experiment.sync_detailed(client=client, body=ExperimentRequest(model_name="no-such-model.gguf"))
    assert refused.status_code == 422
    assert isinstance(refused.parsed, Problem) and refused.parsed.errors
    assert refused.parsed.errors[0].pointer == "/model_name"
    print(f"{submitted.id}: {tokens} tokens, {joules} J")


main()
