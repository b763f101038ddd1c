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

test("without JavaScript every view shows every figure", async () => {
  let count = 0;
  await withPage(OPEN, { javaScriptEnabled: false }, (bare) =>
    withPage(OPEN, {}, async (page) => {
      for (const view of await views()) {
        const [without, withIt] = await Promise.all(
          [bare, page].map(async (one) => {
            await open(one, view);
            return one.evaluate(figures);
          }),
        );
        count += without.texts.length;
        if (view.moves) assert.equal(without.places, withIt.places, view.name);
        else assert.deepEqual(without, withIt, view.name);
      }
    }),
  );
  assert.ok(count > 500, `there are only ${count} figures`);
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
  await withPage(OPEN, {}, async (page) => {
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Network.setCacheDisabled", { cacheDisabled: true });
    for (const view of await views()) {
      const answered = [];
      const note = (request) => answered.push(request);
      page.on("requestfinished", note);
      await open(page, view);
      page.off("requestfinished", note);
      assert.ok(answered.length >= 3, `${view.name} loads ${answered.length} files: neither style nor script`);
      const sizes = await Promise.all(answered.map((request) => request.sizes()));
      const bytes = sizes.reduce((sum, size) => sum + size.responseBodySize, 0);
      console.log(`  ${view.name}: ${(bytes / 1000).toFixed(1)} kB`);
      assert.ok(bytes <= MAX_VIEW_BYTES, `${view.name} has ${bytes} bytes`);
    }
  });
});
