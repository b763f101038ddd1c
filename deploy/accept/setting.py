"""What a run works with: programs, boards, models, how much of each it does."""

import json
import os
import shutil
import subprocess

import model
from report import NotApplicable

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
RANDOM_LLAMA = "random-llama"

# Seconds, tokens and waves of a step: on a simulated box as little as shows that the step works.
AMOUNTS = {
    "full": {"idle_sec": 10, "rest_sec": 5, "input": 128, "output": 128, "waves": 6, "cycles": 3, "load_waves": 6, "load_output": 256, "pair_waves": 6},
    "quick": {"idle_sec": 5, "rest_sec": 4, "input": 128, "output": 64, "waves": 3, "cycles": 2, "load_waves": 4, "load_output": 256, "pair_waves": 4},
    "simulated": {"idle_sec": 2.5, "rest_sec": 1.5, "input": 16, "output": 8, "waves": 2, "cycles": 1, "load_waves": 60, "load_output": 64, "pair_waves": 3},
}


class Programs:
    """The built programs."""

    def __init__(self, folder):
        self.joulemark = os.path.join(folder, "joulemark")
        if not os.access(self.joulemark, os.X_OK):
            raise FileNotFoundError(f"{self.joulemark} is not there; build the programs, or name their folder by --programs")
        beside = os.path.join(folder, "joulemark-mistral")
        self.engine_dir = folder if os.path.exists(beside) else os.path.join(folder, "../libexec/joulemark")

    def doctor(self, nvml_lib):
        command = [self.joulemark, "doctor", "--json", "--nvml-lib", nvml_lib, "--engine-dir", self.engine_dir]
        answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        if not answer.stdout:
            raise RuntimeError(f"joulemark doctor: {answer.stderr.decode().strip()}")
        return json.loads(answer.stdout)


class Setting:
    """One run of the acceptance."""

    def __init__(self, programs, nvml, report, folder):
        self.programs = programs
        self.nvml = nvml
        self.report = report
        self.models = os.path.join(folder, "models")
        self.doctor = None
        self.service = None
        self.amounts = AMOUNTS["simulated" if nvml.is_mock else "quick" if report.is_quick else "full"]

    @property
    def is_simulated(self):
        return self.nvml.is_mock

    def make_models(self, source):
        """Lays SmolLM2 into the models folder where it is here, and makes the random model; returns its parameters."""
        os.makedirs(self.models)
        here = os.path.join(source, SMOLLM2)
        if os.path.exists(here):
            try:
                os.link(os.path.realpath(here), os.path.join(self.models, SMOLLM2))
            except OSError:
                shutil.copyfile(here, os.path.join(self.models, SMOLLM2))
        return model.write(os.path.join(self.models, RANDOM_LLAMA), model.SMALL if self.is_simulated else model.LARGE)

    def experiment(self, name, batch=1, waves=1, output=None, gpu=0, cycles=1):
        """Returns an experiment of equal prompts and exact lengths, on one board."""
        if name == SMOLLM2 and not os.path.exists(os.path.join(self.models, SMOLLM2)):
            raise NotApplicable(f"{SMOLLM2} is not in the models folder: deploy/fetch-model.sh fetches it")
        output = output or self.amounts["output"]
        synthetic = {"input_tokens": self.amounts["input"], "count": batch * waves, "seed": 1}
        return {
            "model_name": name, "device": "cpu" if self.is_simulated else "cuda", "gpus": [gpu], "batch_size": batch,
            "prompts": {"synthetic": synthetic}, "max_output_tokens": output, "min_output_tokens": output,
            "num_cycles": cycles, "warmup_iterations": 1, "idle_baseline_sec": 0, "user": "accept-gpu",
        }

    def long_experiment(self):
        """Returns one that runs until it is ended."""
        return self.experiment(RANDOM_LLAMA, waves=20000, output=self.amounts["load_output"])

    def pair(self):
        """Returns two experiments of some seconds on two boards. The CPU runs one at a time: what stands in computes nothing."""
        waves, output = self.amounts["pair_waves"], self.amounts["load_output"]
        pair = [self.experiment(RANDOM_LLAMA, 1, waves, output, gpu.index) for gpu in self.nvml.gpus[:2]]
        stand_in = {"model_name": "synthetic:decode_ms=15", "device": "cuda"} if self.is_simulated else {}
        return [{**experiment, **stand_in} for experiment in pair]

    def program(self):
        """Returns the engine's program that computes on the first board, or on the CPU in its place."""
        if self.is_simulated:
            works = [engine["program"] for engine in self.doctor["engines"] if engine["works"]]
            return works[0] if works else None
        return self.doctor["gpu_programs"][0]["program"]
