// Views are whole: without JavaScript, without a network beyond the server, and small.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, withPage } from "./browser.mjs";
import { OPEN } from "./tools.mjs";
import { views } from "./views.mjs";

const MAX_VIEW_BYTES = 150_000;

// Every text with a digit within the content, and every shape of its charts.
function figures() {
  const main = document.querySelector("main");
  const texts = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const text = texts.currentNode.data.replace(/\s+/g, " ").trim();
    if (/\d/.test(text)) found.push(text);
  }
  const shapes = [...main.querySelectorAll("svg *")].map((shape) => `${shape.tagName} ${shape.getAttribute("d") ?? ""}`);
  return { texts: found.sort(), shapes: shapes.sort() };
}

function shown(view, javaScriptEnabled) {
  return withPage(OPEN, { javaScriptEnabled }, async (page) => {
    await open(page, view.path);
    return page.evaluate(figures);
  });
}

test("without JavaScript every view shows every figure", async () => {
  for (const view of await views()) {
    const [without, withIt] = [await shown(view, false), await shown(view, true)];
    assert.ok(without.texts.length > 0, `${view.name} shows no figure`);
    if (view.moves) {
      assert.equal(without.texts.length, withIt.texts.length, view.name);
    } else {
      assert.deepEqual(without, withIt, view.name);
    }
  }
});

test("every view with all that it loads has at most 150 kB, compressed", async () => {
  for (const view of await views()) {
    const bytes = await withPage(OPEN, {}, async (page) => {
      const answers = [];
      page.on("requestfinished", (request) => answers.push(request));
      await open(page, view.path);
      await page.waitForLoadState("load");
      const loaded = answers.filter((request) => request.resourceType() !== "eventsource");
      const sizes = await Promise.all(loaded.map((request) => request.sizes()));
      return sizes.reduce((sum, size) => sum + size.responseBodySize, 0);
    });
    console.log(`  ${view.name}: ${(bytes / 1000).toFixed(1)} kB`);
    assert.ok(bytes > 0 && bytes <= MAX_VIEW_BYTES, `${view.name} has ${bytes} bytes`);
  }
});
