// A program as a lab would write it: submits, waits, reads results, and meets an error, all through generated types.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import createClient from "openapi-fetch";

import type { components, paths } from "./joulemark.js";

type State = components["schemas"]["State"];
type Experiment = components["schemas"]["Experiment"];
type Results = components["schemas"]["Results"];

const isWhole = (shown: object): shown is Experiment => "state" in shown;
const areWhole = (shown: object): shown is Results => "validation" in shown;

const { SERVER_URL, SERVER_KEY } = process.env;
assert(SERVER_URL !== undefined && SERVER_KEY !== undefined);
const client = createClient<paths>({ baseUrl: SERVER_URL, headers: { Authorization: `Bearer ${SERVER_KEY}` } });

async function until(id: string, patienceSec: number): Promise<State> {
  const end = Date.now() + 1000 * patienceSec;
  for (;;) {
    const { data, error } = await client.GET("/v1/experiments/{id}", { params: { path: { id } } });
    // Asked for whole: without `fields`.
    assert(data !== undefined && isWhole(data), JSON.stringify(error));
    if (["completed", "failed", "cancelled"].includes(data.state) || Date.now() > end) {
      assert(data.failure === null, data.failure?.message);
      return data.state;
    }
    await sleep(200);
  }
}

const submitted = await client.POST("/v1/experiments", {
  body: {
    model_name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    prompts: { dataset: "short-32", count: 2 },
    max_output_tokens: 4,
    min_output_tokens: 4,
    warmup_iterations: 0,
    num_cycles: 1,
    idle_baseline_sec: 0,
    labels: { client: "typescript" },
  },
});
assert(submitted.data !== undefined, JSON.stringify(submitted.error));
const id: string = submitted.data.id;
assert.equal(await until(id, 120), "completed");

const results = await client.GET("/v1/experiments/{id}/results", { params: { path: { id } } });
assert(results.data !== undefined && areWhole(results.data), JSON.stringify(results.error));
const joules: number | null = results.data.energy.total_energy_j;
const tokens: number | null = results.data.inference.output_tokens;
assert.equal(tokens, 8);
assert(joules === null || joules > 0);

const listed = await client.GET("/v1/experiments", { params: { query: { label: ["client=typescript"], limit: 1 } } });
assert.equal(listed.data?.items[0]?.id, id);

const refused = await client.POST("/v1/experiments", { body: { model_name: "no-such-model.gguf" } });
assert(refused.error !== undefined);
assert.equal(refused.response.status, 422);
assert.equal(refused.error.type, "urn:problem-type:joulemark:invalid-experiment");
assert.equal(refused.error.errors?.[0]?.pointer, "/model_name");
console.log(`${id}: ${tokens} tokens, ${joules ?? "unknown"} J`);
