// Every view that there is, each with what it shows when nothing changes any more. A new view gets a line here and with
// it every rule of rules.mjs, reach.mjs and whole.mjs.
import { endless, inState, submit, submitSweep, sweepFinished, synthetic } from "./service.mjs";

// What has FLOPs, prefill and decode of its own, unlike the synthetic engine: a real model on the CPU.
const REAL = {
  config_name: "SmolLM2 135M",
  model_name: "SmolLM2-135M-Instruct.Q4_1.gguf",
  prompts: { dataset: "short-32", count: 4 },
  max_output_tokens: 8,
  num_cycles: 3,
  warmup_iterations: 1,
  idle_baseline_sec: 1,
  device: "cpu",
  gpus: [1],
};

async function prepare() {
  const sweep = await submitSweep({
    base: synthetic({ name: "swept", tokens: 8, cycles: 1, decodeMs: 10, idle_baseline_sec: 0 }),
    axes: { batch_size: [1, 2, 4] },
    repeats: 2,
  });
  const [real, first, second] = await Promise.all(
    [REAL, ...[8, 12].map((decodeMs) => synthetic({ name: `decode ${decodeMs} ms`, decodeMs, labels: { team: "nlp" } }))].map(submit),
  );
  const failed = await submit({ ...synthetic({ name: "failing" }), model_name: "synthetic:error_at=1" });
  for (const id of [real, first, second]) await inState(id, "completed");
  await inState(failed, "failed");
  await sweepFinished(sweep);
  const running = await inState(await submit(endless({ name: "running" })), "measuring");
  const waiting = await submit(synthetic({ name: "waiting", labels: { team: "vision" } }));
  return { real, first, second, failed, sweep, running, waiting };
}

let prepared;

export function experiments() {
  return (prepared ??= prepare());
}

// Each with a name, its path, whether its figures move by themselves, and its status where that is not 200.
export async function views() {
  const { real, first, second, failed, sweep, running, waiting } = await experiments();
  return [
    { name: "Now", path: "", moves: true },
    { name: "Experiments", path: "experiments" },
    { name: "Experiments, filtered", path: "experiments?state=completed&label=team%3Dnlp" },
    { name: "Experiment", path: `experiments/${real}` },
    { name: "Experiment of the synthetic engine", path: `experiments/${first}` },
    { name: "Experiment that failed", path: `experiments/${failed}` },
    { name: "Experiment that runs", path: `experiments/${running}`, moves: true },
    { name: "Experiment that waits", path: `experiments/${waiting}`, moves: true },
    { name: "How each figure is computed", path: "figures" },
    { name: "Compare", path: `compare?ids=${first},${second}` },
    { name: "Compare, nothing chosen", path: "compare" },
    { name: "Sweeps", path: "sweeps" },
    { name: "Sweep", path: `sweeps/${sweep}` },
    { name: "Submit", path: "submit" },
    { name: "Submit a copy", path: `submit?from=${first}` },
    { name: "Sign in, without keys", path: "sign-in" },
    { name: "A parameter that is not valid", path: "experiments?state=asleep", status: 400 },
  ];
}
