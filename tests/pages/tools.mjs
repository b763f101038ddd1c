// What tests/pages.sh lays out: tools in a folder below target/, and servers that run.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

function given(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run tests/pages.sh`);
  return value;
}

const require = createRequire(`${given("PAGE_TOOLS")}/`);

export const { chromium } = require("playwright-core");
export const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Asks nobody who they are.
export const OPEN = `${given("OPEN_URL")}/`;
// Asks for keys, behind nginx under a prefix.
export const GUARDED = given("GUARDED_URL");
export const KEY = given("GUARDED_KEY");
export const READER_KEY = given("READER_KEY");
