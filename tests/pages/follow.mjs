// An experiment from its submission to its comparison, as somebody does it in a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, withPage } from "./browser.mjs";
import { cancel, inState, submit, synthetic } from "./service.mjs";
import { OPEN } from "./tools.mjs";

// Collects what a cell says until `enough` different texts were there; a page that was loaded anew fails.
async function changes(cell, enough) {
  const page = cell.page();
  await page.evaluate(() => (globalThis.isTheSamePage = true));
  const seen = new Set();
  const end = Date.now() + 30_000;
  while (seen.size < enough && Date.now() < end) {
    seen.add(await cell.innerText());
    await page.waitForTimeout(100);
  }
  assert.ok(seen.size >= enough, `it only said ${[...seen].join(", ")}`);
  assert.ok(await page.evaluate(() => globalThis.isTheSamePage), "the page was loaded anew");
}

test("what runs now changes by the server's events, without asking for the page again", async () => {
  const id = await inState(await submit(synthetic({ name: "followed", tokens: 100, cycles: 10 })), "measuring");
  await withPage(OPEN, {}, async (page) => {
    const asked = [];
    page.on("request", (request) => asked.push(request.resourceType()));
    await page.clock.install();
    await open(page, "");
    await changes(page.locator(`[data-experiment="${id}"] [data-progress="eta_sec"]`), 3);
    assert.ok(asked.includes("eventsource"), "no stream of events was asked for");
    assert.ok(!asked.includes("fetch"), "the page was asked for again");
  });
  await cancel(id);
});

test("a running experiment is cancelled by its button", async () => {
  const id = await inState(await submit(synthetic({ name: "to be cancelled", tokens: 1000, cycles: 10 })), "measuring");
  await withPage(OPEN, {}, async (page) => {
    await open(page, "");
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByRole("button", { name: "Cancel to be cancelled" }).press("Enter");
    await inState(id, "cancelled");
  });
});
