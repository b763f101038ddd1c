// What a check needs there beforehand, by the API.
import assert from "node:assert/strict";
import { OPEN } from "./tools.mjs";

// Generates a token each `decodeMs` on the CPU and leases a GPU, which is metered.
export function synthetic({ name, tokens = 20, cycles = 2, decodeMs = 20, ...more }) {
  return {
    config_name: name,
    model_name: `synthetic:prefill_ms=30,decode_ms=${decodeMs}`,
    prompts: { dataset: "short-32", count: 4 },
    max_output_tokens: tokens,
    num_cycles: cycles,
    warmup_iterations: 1,
    idle_baseline_sec: 1,
    device: "cpu",
    gpus: [0],
    ...more,
  };
}

// Measures for longer than any check, and at once.
export function endless({ name, ...more }) {
  return synthetic({ name, tokens: 1000, cycles: 100, warmup_iterations: 0, idle_baseline_sec: 0, ...more });
}

async function answered(path, options = {}) {
  const response = await fetch(new URL(path, OPEN), options);
  const text = await response.text();
  assert.ok(response.ok, `${path} answers ${response.status}: ${text}`);
  return JSON.parse(text);
}

function posted(path, body) {
  return answered(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

export async function submit(experiment) {
  return (await posted("v1/experiments", experiment)).id;
}

export async function submitSweep(sweep) {
  return (await posted("v1/sweeps", sweep)).id;
}

export function show(id) {
  return answered(`v1/experiments/${id}`);
}

export async function cancel(id) {
  await answered(`v1/experiments/${id}/cancel`, { method: "POST" });
}

export async function sweepFinished(id) {
  return until(`sweep ${id} to end`, async () => (await answered(`v1/sweeps/${id}`)).state === "finished", id);
}

export async function inState(id, state) {
  return until(`${id} to be ${state}`, async () => {
    const experiment = await show(id);
    const isStuck = ["completed", "failed", "cancelled"].includes(experiment.state) && experiment.state !== state;
    assert.ok(!isStuck, `${id} is ${experiment.state}, not ${state}: ${JSON.stringify(experiment.failure)}`);
    return experiment.state === state;
  }, id);
}

async function until(what, isSo, value) {
  const end = Date.now() + 120_000;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `waited 120 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return value;
}
