// Every check of the pages, in their order; the name of each says what holds.
import { after } from "node:test";
import { close } from "./browser.mjs";

await import("./follow.mjs");
await import("./rules.mjs");
await import("./reach.mjs");
await import("./whole.mjs");
await import("./sign_in.mjs");
after(close);
