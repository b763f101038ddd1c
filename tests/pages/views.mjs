// Every view that there is, each with what it shows when nothing changes any more. A new view gets a line here and with
// it every rule of rules.mjs, reach.mjs and whole.mjs.
import { inState, submit, submitSweep, sweepFinished, synthetic } from "./service.mjs";

let prepared;

async function prepare() {
  const ids = [];
  for (const decodeMs of [10, 14]) {
    const experiment = synthetic({ name: `decode ${decodeMs} ms`, decodeMs, labels: { team: "nlp" } });
    ids.push(await inState(await submit(experiment), "completed"));
  }
  return { first: ids[0], second: ids[1] };
}

// Each with a name, its path, and whether its figures move by themselves.
export async function views() {
  const { first, second } = await (prepared ??= prepare());
  return [
    { name: "Now", path: "", moves: true },
    { name: "Experiments", path: "experiments" },
  ];
}
