// Makes the pictures of docs/pages.md anew: of the same experiments that the checks look at, on the mock's GPUs.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { close, open, withPage } from "./browser.mjs";
import { reduced } from "./palette.mjs";
import { GUARDED, OPEN } from "./tools.mjs";
import { experiments } from "./views.mjs";

const FOLDER = "docs/pages";
const MAX_BYTES = 60_000;
const SIZE = { width: 1080, height: 800 };
const PHONE = { width: 380, height: 760 };

async function take(name, origin, path, { from, size = SIZE, colorScheme = "light" } = {}) {
  await withPage(origin, { viewport: size, colorScheme }, async (page) => {
    await open(page, { path });
    if (from) await page.locator(from).evaluate((element) => element.scrollIntoView());
    const picture = reduced(await page.screenshot());
    assert.ok(picture.length <= MAX_BYTES, `${name} has ${picture.length} bytes`);
    await writeFile(`${FOLDER}/${name}.png`, picture);
    console.log(`${name}.png: ${(picture.length / 1000).toFixed(1)} kB`);
  });
}

try {
  await mkdir(FOLDER, { recursive: true });
  const { real, first, second, sweep } = await experiments();
  const experiment = `experiments/${real}`;
  await take("now", OPEN, "");
  await take("now-phone", OPEN, "", { size: PHONE });
  await take("experiments", OPEN, "experiments");
  await take("experiment", OPEN, experiment, { size: { width: 1080, height: 1150 } });
  await take("experiment-power", OPEN, experiment, { from: "#power" });
  await take("experiment-latency", OPEN, experiment, { from: "#latency" });
  await take("experiment-dark", OPEN, experiment, { colorScheme: "dark" });
  await take("compare", OPEN, `compare?ids=${first},${second}`);
  await take("sweep", OPEN, `sweeps/${sweep}`);
  await take("sweep-axis", OPEN, `sweeps/${sweep}`, { from: "#axes" });
  await take("submit", OPEN, `submit?from=${first}`);
  await take("sign-in", GUARDED, "sign-in", { size: { width: 1080, height: 380 } });
} finally {
  await close();
}
