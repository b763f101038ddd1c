// Views are whole: without JavaScript, without a network beyond the server, and small.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { PHONE, open, withPage } from "./browser.mjs";
import { violations } from "./rules.mjs";
import { OPEN } from "./tools.mjs";
import { experiments, views } from "./views.mjs";

const MAX_VIEW_BYTES = 150_000;

// Returns every text with a digit within the content, every shape of its charts, and how many places for figures there are.
function figures() {
  const main = document.querySelector("main");
  const texts = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const text = texts.currentNode.data.replace(/\s+/g, " ").trim();
    if (/\d/.test(text)) found.push(text);
  }
  const shapes = [...main.querySelectorAll("svg *")].map((shape) => `${shape.tagName} ${shape.getAttribute("d") ?? ""}`);
  const places = main.querySelectorAll("svg, .figure, [data-progress], dd, td").length;
  return { texts: found.sort(), shapes: shapes.sort(), places };
}

function shown(view, javaScriptEnabled) {
  return withPage(OPEN, { javaScriptEnabled }, async (page) => {
    await open(page, view);
    return page.evaluate(figures);
  });
}

test("without JavaScript every view shows every figure", async () => {
  let figures = 0;
  for (const view of await views()) {
    const [without, withIt] = [await shown(view, false), await shown(view, true)];
    figures += without.texts.length;
    if (view.moves) {
      assert.equal(without.places, withIt.places, view.name);
    } else {
      assert.deepEqual(without, withIt, view.name);
    }
  }
  assert.ok(figures > 500, `there are only ${figures} figures`);
});

// The report of an experiment as a file in a folder that `use` is called with.
async function withReport(use) {
  const { real } = await experiments();
  const answer = await fetch(new URL(`v1/experiments/${real}/report.html`, OPEN));
  assert.equal(answer.status, 200);
  const folder = await mkdtemp(join(tmpdir(), "joulemark-report-"));
  try {
    const file = join(folder, "report.html");
    await writeFile(file, await answer.text());
    await use(pathToFileURL(file).href, real);
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const colorScheme of ["light", "dark"]) {
  test(`the report opens from a file without a network, is whole, and axe finds nothing, ${colorScheme}`, async () => {
    await withReport((file, id) =>
      withPage(file, { offline: true, colorScheme, viewport: PHONE }, async (page) => {
        await page.goto(file);
        const figures = (within) => within.locator("[data-metric]").evaluateAll((all) => all.map((one) => [one.dataset.metric, one.textContent]));
        const there = await figures(page);
        assert.ok(there.length > 20, `the report has ${there.length} figures`);
        const shown = await withPage(OPEN, {}, async (view) => {
          await open(view, { path: `experiments/${id}` });
          return figures(view);
        });
        assert.deepEqual(there, shown);
        assert.ok((await page.locator("svg").count()) >= 5, "charts are missing");
        assert.deepEqual(await violations(page), []);
      }),
    );
  });
}

test("the browser takes the report's own styles by their hashes from the server too", async () => {
  const { real } = await experiments();
  await withPage(OPEN, {}, async (page) => {
    await page.route("**/report.html", async (route) => {
      const answer = await route.fetch();
      const headers = { ...answer.headers() };
      // As a file to keep it would open in no page.
      delete headers["content-disposition"];
      await route.fulfill({ response: answer, headers });
    });
    await open(page, { path: `v1/experiments/${real}/report.html` });
    const font = await page.evaluate(() => getComputedStyle(document.body).fontFamily);
    assert.doesNotMatch(font, /^"?Times/, "no style is applied");
  });
});

test("every view with all that it loads has at most 150 kB, compressed", async () => {
  for (const view of await views()) {
    const bytes = await withPage(OPEN, {}, async (page) => {
      const answers = [];
      page.on("requestfinished", (request) => answers.push(request));
      await open(page, view);
      await page.waitForLoadState("load");
      const loaded = answers.filter((request) => request.resourceType() !== "eventsource");
      const sizes = await Promise.all(loaded.map((request) => request.sizes()));
      return sizes.reduce((sum, size) => sum + size.responseBodySize, 0);
    });
    console.log(`  ${view.name}: ${(bytes / 1000).toFixed(1)} kB`);
    assert.ok(bytes > 0 && bytes <= MAX_VIEW_BYTES, `${view.name} has ${bytes} bytes`);
  }
});
