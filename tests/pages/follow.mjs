// An experiment from its submission to its comparison, as somebody does it in a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, withPage } from "./browser.mjs";
import { cancel, endless, inState, submit, synthetic } from "./service.mjs";
import { OPEN } from "./tools.mjs";

const ID = /\/experiments\/([0-9a-f-]{36})$/;

// Opens what holds a field, if that is closed, and gives it a value.
export async function fill(page, name, value) {
  const named = page.locator(`[name="${name}"]`);
  const field = (await named.count()) > 1 ? page.locator(`[name="${name}"][value="${value}"]`) : named;
  const closed = page.locator("details:not([open])", { has: field });
  if ((await closed.count()) > 0) await closed.locator("summary").press("Enter");
  const kind = await field.evaluate((element) => (element.tagName === "SELECT" ? "select" : element.type));
  if (kind === "radio") await field.check();
  else if (kind === "select") await field.selectOption(value);
  else await field.fill(value);
}

// Submits by the form and returns the id that the browser is led to.
export async function submitByForm(page, fields) {
  await page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Submit" }).click();
  for (const [name, value] of Object.entries(fields)) await fill(page, name, value);
  await page.getByRole("button", { name: "Submit", exact: true }).click();
  await page.waitForURL(ID);
  return ID.exec(page.url())[1];
}

// Collects what a cell says until `enough` different texts were there.
export async function changes(cell, enough) {
  const seen = new Set();
  const end = Date.now() + 30_000;
  while (seen.size < enough && Date.now() < end) {
    seen.add(await cell.innerText());
    await cell.page().waitForTimeout(100);
  }
  assert.ok(seen.size >= enough, `it only said ${[...seen].join(", ")}`);
}

// Calls `use`, after which the page must still be the document that it was.
async function withoutReload(page, use) {
  await page.evaluate(() => (globalThis.isTheSamePage = true));
  await use();
  assert.ok(await page.evaluate(() => globalThis.isTheSamePage), "the page was loaded anew");
}

const FIELDS = {
  config_name: "by the form",
  model_name: "synthetic:decode_ms=20",
  "prompts.kind": "dataset",
  "prompts.count": "4",
  max_output_tokens: "16",
  num_cycles: "2",
  warmup_iterations: "1",
  idle_baseline_sec: "1",
  device: "cpu",
};

test("what the form refuses stands beside its field, with all else kept", async () => {
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: "submit" });
    await fill(page, "model_name", "synthetic:decode_ms=20");
    await fill(page, "num_cycles", "many");
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    const field = page.locator('[name="num_cycles"]');
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.equal(await field.inputValue(), "many");
    assert.equal(await page.locator('[name="model_name"]').inputValue(), "synthetic:decode_ms=20");
    const described = (await field.getAttribute("aria-describedby")).split(" ");
    const texts = await Promise.all(described.map((id) => page.locator(`[id="${id}"]`).innerText()));
    assert.match(texts.join(" "), /integer/);
  });
});

test("an experiment is submitted by the form, followed by events without a reload, and its result appears", async () => {
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: "" });
    const id = await submitByForm(page, FIELDS);
    await withoutReload(page, async () => {
      await changes(page.locator(`[data-experiment="${id}"] [data-progress="phase"]`), 3);
      await inState(id, "completed");
      await page.locator("#headline .figure").first().waitFor();
      await page.locator("#power svg").first().waitFor();
    });
    assert.match(await page.locator("#experiment").innerText(), /completed/);
  });
});

test("what runs now changes by the server's events, without asking for the page again", async () => {
  const id = await inState(await submit(endless({ name: "followed" })), "measuring");
  await withPage(OPEN, {}, async (page) => {
    const asked = [];
    page.on("request", (request) => asked.push(request.resourceType()));
    // No timer of the page runs any more.
    await page.clock.install();
    await open(page, { path: "" });
    await changes(page.locator(`[data-experiment="${id}"] [data-progress="eta_sec"]`), 3);
    assert.ok(asked.includes("eventsource"), "no stream of events was asked for");
    assert.ok(!asked.includes("fetch"), "the page was asked for again");
  });
  await cancel(id);
});

test("a running experiment is cancelled by its button on the first view, by keyboard", async () => {
  const id = await inState(await submit(endless({ name: "to be cancelled" })), "measuring");
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: "" });
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByRole("button", { name: "Cancel to be cancelled" }).press("Enter");
    await inState(id, "cancelled");
    await page.locator(".state.cancelled").first().waitFor();
  });
});

test("a copy of an experiment is started by its link and cancelled by its button", async () => {
  const id = await submit(endless({ name: "first of two", labels: { team: "nlp" } }));
  await cancel(await inState(id, "measuring"));
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: `experiments/${id}` });
    await page.getByRole("link", { name: "Submit a copy" }).click();
    await fill(page, "config_name", "second of two");
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    await page.waitForURL(ID);
    const copy = ID.exec(page.url())[1];
    assert.notEqual(copy, id);
    page.on("dialog", (dialog) => dialog.accept());
    await inState(copy, "measuring");
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await inState(copy, "cancelled");
    await page.locator(".state.cancelled").first().waitFor();
  });
});

test("two experiments are ticked in the list and compared", async () => {
  const ids = [];
  for (const decodeMs of [5, 10]) {
    ids.push(await inState(await submit(synthetic({ name: `compared, ${decodeMs} ms`, decodeMs, labels: { of: "two" } })), "completed"));
  }
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: "experiments?label=of%3Dtwo&sort=created_at" });
    for (const id of ids) await page.locator(`input[name="ids"][value="${id}"]`).check();
    await page.getByRole("button", { name: "Compare selected" }).click();
    await page.waitForURL(/\/compare\?/);
    await page.locator("main svg").first().waitFor();
    const text = await page.locator("main").innerText();
    for (const name of ["compared, 5 ms", "compared, 10 ms"]) assert.ok(text.includes(name), `${name} is not in ${text}`);
    assert.match(text, /ratio/i);
  });
});
