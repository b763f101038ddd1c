// Accessibility by the rules of axe-core, and what the browser itself has to say.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DESK, PHONE, open, withPage } from "./browser.mjs";
import { AXE, OPEN } from "./tools.mjs";
import { views } from "./views.mjs";

// Returns what axe finds wrong with a page.
export async function violations(page) {
  // By the debugger, which the page's policy does not concern.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((rule) => ({
    rule: `${rule.id}: ${rule.help}`,
    at: rule.nodes.slice(0, 5).map((node) => `${node.target.join(" ")}: ${node.failureSummary}`),
  }));
}

// Returns what axe finds wrong with a page, by theme.
export async function violationsInBothThemes(page) {
  const found = {};
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const wrong = await violations(page);
    if (wrong.length > 0) found[colorScheme] = wrong;
  }
  return found;
}

for (const viewport of [DESK, PHONE]) {
  test(`axe finds nothing in any view, in either theme, ${viewport.width} px wide`, async () => {
    await withPage(OPEN, { viewport }, async (page) => {
      const found = {};
      for (const view of await views()) {
        await open(page, view);
        const wrong = await violationsInBothThemes(page);
        if (Object.keys(wrong).length > 0) found[view.name] = wrong;
      }
      assert.deepEqual(found, {});
    });
  });

  test(`axe finds nothing in a refused form and in other notations of an experiment, ${viewport.width} px wide`, async () => {
    await withPage(OPEN, { viewport }, async (page) => {
      await open(page, { path: "submit" });
      await page.locator('[name="model_name"]').fill("synthetic:decode_ms=20");
      await page.getByRole("button", { name: "Show as JSON" }).click();
      await page.locator("#written").waitFor();
      assert.deepEqual(await violationsInBothThemes(page), {});
      await page.locator('[name="model_name"]').fill("");
      const [answer] = await Promise.all([
        page.waitForResponse((response) => response.request().method() === "POST"),
        page.getByRole("button", { name: "Submit", exact: true }).click(),
      ]);
      assert.equal(answer.status(), 422);
      await page.locator(".problems").waitFor();
      assert.deepEqual(await violationsInBothThemes(page), {});
    });
  });
}

test("no view is wider than a phone of 380 px", async () => {
  await withPage(OPEN, { viewport: PHONE }, async (page) => {
    for (const view of await views()) {
      await open(page, view);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= PHONE.width, `${view.name} is ${width} px wide`);
    }
  });
});

test("each theme has colours of its own", async () => {
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: "" });
    const colour = async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    };
    assert.notEqual(await colour("light"), await colour("dark"));
  });
});

test("charts have the colours of the preferred theme, of the chosen one, and light ones on paper", async () => {
  await withPage(OPEN, {}, async (page) => {
    await open(page, { path: "" });
    const colours = async (media, theme) => {
      await page.emulateMedia({ media: "screen", ...media });
      return page.evaluate((theme) => {
        document.documentElement.dataset.theme = theme;
        const style = getComputedStyle(document.querySelector("svg.jm-chart"));
        return [style.getPropertyValue("--jm-paper").trim(), style.getPropertyValue("--jm-band-share").trim(), style.color];
      }, theme);
    };
    const light = ["#ffffff", "0.3", "rgb(27, 33, 40)"];
    const dark = ["#14181d", "0.34", "rgb(232, 236, 240)"];
    assert.deepEqual(await colours({ colorScheme: "light" }, ""), light);
    assert.deepEqual(await colours({ colorScheme: "dark" }, ""), dark);
    assert.deepEqual(await colours({ colorScheme: "dark" }, "light"), light);
    assert.deepEqual(await colours({ colorScheme: "light" }, "dark"), dark);
    assert.deepEqual(await colours({ media: "print", colorScheme: "dark" }, "dark"), light);
  });
});

test("what the browser refuses by the page's policy would be seen here", async () => {
  await withPage(OPEN, {}, async (page, faults) => {
    await page.route("**/experiments", async (route) => {
      const answer = await route.fetch();
      const body = (await answer.text()).replace("<main", '<p style="color:red">x</p><script>1</script><main');
      await route.fulfill({ response: answer, body });
    });
    await open(page, { path: "experiments" });
    await page.waitForTimeout(200);
    assert.equal(faults.splice(0).filter((fault) => fault.includes("Content Security Policy")).length, 2);
  });
});
