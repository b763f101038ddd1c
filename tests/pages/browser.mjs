// One browser for all checks, whose network ends at this machine, and pages that note whatever goes wrong in them.
import assert from "node:assert/strict";
import { chromium } from "./tools.mjs";

export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 380, height: 800 };

let browser;

async function launched() {
  // Chromium's sandbox is not to be had for root, nor in most containers; what it shows here is ours alone.
  const args = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];
  browser ??= await chromium.launch({ executablePath: "/usr/bin/chromium", args });
  return browser;
}

export async function close() {
  await browser?.close();
}

// Calls `use` with a page of a new profile, and fails for whatever the browser complained of meanwhile, or what was
// asked of anything but `origin`.
export async function withPage(origin, options, use) {
  const context = await (await launched()).newContext({
    baseURL: origin,
    viewport: DESK,
    ignoreHTTPSErrors: true,
    // Who jumps to a place is there at once.
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const faults = [];
  try {
    const page = await context.newPage();
    watch(page, new URL(origin).origin, faults);
    const value = await use(page, faults);
    assert.equal(faults.length, 0, "the browser complains");
    return value;
  } catch (error) {
    // What went wrong before may be why.
    if (faults.length > 0) error.message += `; the browser said: ${faults.join("; ")}`;
    throw error;
  } finally {
    await context.close();
  }
}

function watch(page, origin, faults) {
  const where = () => new URL(page.url()).pathname;
  page.on("console", (message) => {
    // The status of the view itself is for the check to judge.
    if (message.text().startsWith("Failed to load resource") && message.location().url === page.url()) return;
    if (["error", "warning"].includes(message.type())) faults.push(`${where()}: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => faults.push(`${where()}: ${error.message}`));
  page.on("request", (request) => {
    if (!["data:", "blob:"].includes(new URL(request.url()).protocol) && new URL(request.url()).origin !== origin)
      faults.push(`${where()} asks for ${request.url()}`);
  });
  page.on("requestfailed", (request) => {
    // Whoever leaves a page ends what it still waits for.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") faults.push(`${where()}: ${request.url()} failed: ${why}`);
  });
}

// Opens a view, which must be there.
export async function open(page, { path, status = 200 }) {
  const answer = await page.goto(path);
  assert.equal(answer.status(), status, `${path} answers ${answer.status()}: ${await page.locator("body").innerText()}`);
}
