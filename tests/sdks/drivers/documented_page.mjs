// Runs a documented block of Amplitude's browser SDK, read from standard input, as a module of a page on loopback.
// Prints the addresses outside this machine that it asked for, one a line.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { launch } from "./chromium.mjs";

const [packages, chromium] = process.argv.slice(2);
const require = createRequire(packages + "/");
const PATIENCE_MS = 30_000;
const block = readFileSync(0, "utf8");
const bundle = readFileSync(require.resolve("@amplitude/analytics-browser/lib/scripts/amplitude-min.umd.js"));
const names = ["add", "init", "track", "flush"];
const types = { "/": "text/html", "/sdk.js": "text/javascript", "/sdk.mjs": "text/javascript" };
const files = {
  // The import's name leads to the SDK's own bundle, as a bundler of the app would have it.
  "/": '<!doctype html><meta charset="utf-8"><title>Shop</title><script src="/sdk.js"></script>' +
    '<script type="importmap">{"imports": {"@amplitude/analytics-browser": "/sdk.mjs"}}</script>' +
    `<script type="module">${block}\nwindow.isDone = true;</script>`,
  "/sdk.js": bundle,
  "/sdk.mjs": names.map((name) => `export const ${name} = window.amplitude.${name};`).join("\n"),
};
const site = createServer((request, response) => {
  response.writeHead(request.url in files ? 200 : 404, { "Content-Type": types[request.url] ?? "text/plain" });
  response.end(files[request.url]);
}).listen(0, "127.0.0.1");
await new Promise((listening) => site.once("listening", listening));
const browser = await launch(require("puppeteer-core").default, chromium);
try {
  const tab = await browser.newPage();
  tab.on("request", (request) => {
    if (new URL(request.url()).hostname !== "127.0.0.1") console.log(request.url());
  });
  tab.on("pageerror", (error) => console.error(String(error)));
  await tab.goto(`http://127.0.0.1:${site.address().port}/`);
  await tab.waitForFunction("window.isDone", { timeout: PATIENCE_MS });
} finally {
  await browser.close();
  site.close();
}
