// Signing in with a key and out again, behind nginx under a prefix, and what a session may.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, withPage } from "./browser.mjs";
import { changes, submitByForm } from "./follow.mjs";
import { violations, violationsInBothThemes } from "./rules.mjs";
import { GUARDED, KEY, READER_KEY } from "./tools.mjs";

const PREFIX = new URL(GUARDED).pathname;

function placeOf(page) {
  const { pathname, search } = new URL(page.url());
  assert.ok(pathname.startsWith(PREFIX), `${pathname} is not below ${PREFIX}`);
  return pathname.slice(PREFIX.length) + search;
}

async function signIn(page, key) {
  await page.getByLabel("API key").fill(key);
  await page.getByLabel("API key").press("Enter");
  await page.waitForLoadState();
}

// The form answers 200; a wrong key is refused there.
const FORM = { path: "sign-in" };

test("who is not signed in is led to the form, and with a key back to where they were going", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, { path: "experiments?state=completed" });
    assert.match(placeOf(page), /^sign-in\?next=/);
    assert.deepEqual(await violations(page), []);
    await signIn(page, "jm_0000000000000000_0000");
    assert.match(placeOf(page), /^sign-in/);
    assert.ok((await page.getByRole("alert").innerText()).length > 0);
    assert.deepEqual(await violations(page), []);
    await signIn(page, KEY);
    assert.equal(placeOf(page), "experiments?state=completed");
    assert.match(await page.locator("header").innerText(), /tester, admin/);
    assert.deepEqual(await violations(page), []);
  });
});

test("the session's cookie is for this prefix by TLS alone, and no script reads it", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, FORM);
    await signIn(page, KEY);
    const [cookie, ...others] = await page.context().cookies();
    assert.deepEqual(others, []);
    const { name, path, httpOnly, secure, sameSite } = cookie;
    assert.deepEqual(
      { name, path, httpOnly, secure, sameSite },
      { name: "__Secure-joulemark", path: PREFIX, httpOnly: true, secure: true, sameSite: "Lax" },
    );
    assert.equal(await page.evaluate(() => document.cookie), "");
  });
});

test("a session submits, follows and cancels behind the prefix", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, FORM);
    await signIn(page, KEY);
    const id = await submitByForm(page, { model_name: "synthetic:decode_ms=20", max_output_tokens: "1000", device: "cpu" });
    await changes(page.locator(`[data-experiment="${id}"] [data-progress="elapsed_sec"]`), 3);
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.locator(".state.cancelled").first().waitFor();
    assert.equal(placeOf(page), `experiments/${id}`);
  });
});

test("axe finds nothing in the pages of somebody who is signed in", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, FORM);
    await signIn(page, KEY);
    const id = await submitByForm(page, { model_name: "synthetic:decode_ms=20", max_output_tokens: "1000", device: "cpu" });
    const found = {};
    for (const path of ["", "experiments", `experiments/${id}`, "sweeps", "submit", `submit?from=${id}`, "figures", "sign-in"]) {
      await open(page, { path });
      const wrong = await violationsInBothThemes(page);
      if (Object.keys(wrong).length > 0) found[path] = wrong;
    }
    assert.deepEqual(found, {});
    page.on("dialog", (dialog) => dialog.accept());
    await open(page, { path: `experiments/${id}` });
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.locator(".state.cancelled").first().waitFor();
  });
});

test("a form that was opened before another sign-in is shown again with what was typed, and then sent", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, FORM);
    await signIn(page, KEY);
    await open(page, { path: "submit" });
    await page.locator('[name="model_name"]').fill("synthetic:decode_ms=1");
    await page.locator('[name="config_name"]').fill("typed before");
    // In another tab somebody signs out and in again.
    const other = await page.context().newPage();
    await open(other, { path: "" });
    await other.getByRole("button", { name: "Sign out" }).press("Enter");
    await other.waitForURL(/sign-in/);
    await signIn(other, KEY);
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /Nothing was submitted/);
    assert.equal(await page.locator('[name="config_name"]').inputValue(), "typed before");
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: "Submit", exact: true }).click();
    await page.waitForURL(/experiments\/[0-9a-f-]{36}$/);
    assert.match(await page.locator("h1").innerText(), /typed before/);
  });
});

test("a browser that comes back from signing in without the cookie is told so", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, { path: "sign-in?next=experiments&checked=1" });
    assert.match(await page.getByRole("alert").innerText(), /did not send the session's cookie back.*\/sign-in instead/);
    assert.deepEqual(await violationsInBothThemes(page), {});
  });
});

test("who signs out sees nothing any more, and nothing by going back either", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, FORM);
    await signIn(page, KEY);
    await open(page, { path: "experiments" });
    await page.getByRole("button", { name: "Sign out" }).press("Enter");
    await page.waitForURL(/sign-in/);
    assert.deepEqual(await page.context().cookies(), []);
    await page.goBack();
    await page.waitForLoadState();
    assert.match(placeOf(page), /^sign-in/);
  });
});

test("a reader is offered nothing that readers may not", async () => {
  await withPage(GUARDED, {}, async (page) => {
    await open(page, FORM);
    await signIn(page, READER_KEY);
    await open(page, { path: "" });
    assert.match(await page.locator("header").innerText(), /rae, reader/);
    assert.equal(await page.getByRole("link", { name: "Submit" }).count(), 0);
    assert.equal(await page.getByRole("button", { name: "Cancel" }).count(), 0);
    await open(page, { path: "submit", status: 403 });
  });
});
