// The keyboard alone reaches everything, and shows where it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, withPage } from "./browser.mjs";
import { OPEN } from "./tools.mjs";
import { views } from "./views.mjs";

// Numbers each thing that a mouse can use, and notes how it looks while it has no focus. Of a group of radio buttons
// one has a place in the order; the arrow keys lead to the others.
function mark() {
  const things = 'a[href], button, input:not([type="hidden"]), select, textarea, summary, [tabindex="0"]';
  const inOrder = (element) =>
    element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.tabIndex >= 0;
  globalThis.look = (element) => {
    const style = getComputedStyle(element);
    return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.backgroundColor, style.borderColor].join();
  };
  globalThis.things = [...document.querySelectorAll(things)].filter(inOrder);
  const groups = new Set();
  globalThis.things = globalThis.things.filter((element) => {
    if (element.type !== "radio") return true;
    const isFirst = !groups.has(element.name);
    groups.add(element.name);
    return isFirst;
  });
  globalThis.looks = globalThis.things.map(globalThis.look);
  return globalThis.things.length;
}

// Says what has the focus: its number, and what is wrong with how it shows that.
function focused() {
  const element = document.activeElement;
  if (!element || element === document.body || element === document.documentElement) return null;
  const number = globalThis.things.findIndex(
    (thing) => thing === element || (thing.type === "radio" && element.type === "radio" && thing.name === element.name),
  );
  const box = element.getBoundingClientRect();
  const isInView = box.width > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const wrong = [];
  if (!isInView) wrong.push("is out of sight");
  if (number >= 0 && globalThis.look(element) === globalThis.looks[number]) wrong.push("looks as without the focus");
  return { number, wrong: wrong.map((what) => `${element.outerHTML.slice(0, 160)} ${what}`) };
}

// A page scrolls to what gets the focus with its next frame.
async function settled(page) {
  for (let turns = 0; ; turns += 1) {
    const at = await page.evaluate(focused);
    if (at === null || at.wrong.length === 0 || turns === 20) return at;
    await page.waitForTimeout(25);
  }
}

async function walk(page) {
  const all = await page.evaluate(mark);
  const reached = new Set();
  const wrong = new Set();
  let stays = 0;
  // A field of a date has several stops, and what scrolls is one without being asked to.
  for (let presses = 0; stays < 20 && presses < 3 * all + 50; presses += 1) {
    await page.keyboard.press("Tab");
    const at = await settled(page);
    if (at === null || (at.number === 0 && reached.size > 1)) break;
    stays = reached.has(at.number) ? stays + 1 : 0;
    reached.add(at.number);
    at.wrong.forEach((what) => wrong.add(what));
  }
  const missed = await page.evaluate(
    (numbers) => globalThis.things.filter((_, number) => !numbers.includes(number)).map((thing) => thing.outerHTML.slice(0, 160)),
    [...reached],
  );
  return { missed, wrong: [...wrong], trapped: stays >= 20 };
}

test("the tab key reaches every link, button and field of every view, is seen there, and is nowhere trapped", async () => {
  await withPage(OPEN, {}, async (page) => {
    // Parts that are shown anew meanwhile would be others than those that were counted: the page hears of none.
    await page.route(
      () => true,
      (route) => (route.request().resourceType() === "fetch" ? route.fulfill({ status: 204 }) : route.continue()),
    );
    for (const view of await views()) {
      await open(page, view);
      const { missed, wrong, trapped } = await walk(page);
      assert.deepEqual({ missed, wrong, trapped }, { missed: [], wrong: [], trapped: false }, view.name);
    }
  });
});

test("the first stop of every view leads past the navigation", async () => {
  await withPage(OPEN, {}, async (page) => {
    for (const view of await views()) {
      await open(page, view);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      const isInside = await page.evaluate(() => document.activeElement.closest("main, footer") !== null);
      assert.ok(isInside, `${view.name}: after the skip link the focus is in ${await page.evaluate(() => document.activeElement.outerHTML)}`);
    }
  });
});
