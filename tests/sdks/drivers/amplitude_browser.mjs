// Drives @amplitude/analytics-browser: a page on loopback with the SDK's own bundle, in a Chromium without a window.
// The page's origin is not the API's, so every request is judged by the browser's cross-origin rules.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { launch } from "./chromium.mjs";
import { leave, line, order, outcome, outcomesOrPatience, paced, require } from "./protocol.mjs";

const puppeteer = require("puppeteer-core").default;
const bundle = readFileSync(require.resolve("@amplitude/analytics-browser/lib/scripts/amplitude-min.umd.js"));
const page = '<!doctype html><meta charset="utf-8"><title>Shop</title><script src="/sdk.js"></script>';

const site = createServer((request, response) => {
  const script = request.url === "/sdk.js";
  response.writeHead(200, { "Content-Type": script ? "text/javascript" : "text/html" });
  response.end(script ? bundle : page);
}).listen(0, "127.0.0.1");
await new Promise((listening) => site.once("listening", listening));
const browser = await launch(puppeteer, process.argv[3]);
try {
  await drive(await browser.newPage());
} finally {
  await browser.close();
}
leave();

async function drive(tab) {
  const own = [`http://127.0.0.1:${site.address().port}/`, order.url + "/"];
  tab.on("request", (request) => {
    if (!own.some((place) => request.url().startsWith(place))) line({ foreign: request.url() });
  });
  tab.on("pageerror", (error) => console.error(String(error)));
  await tab.exposeFunction("told", (id, code, message) => outcome(id, code === 200 ? null : `${code} ${message}`));
  await tab.goto(own[0]);
  await tab.evaluate(begin, order);
  await paced((call) => { tab.evaluate(make, call); });
  await outcomesOrPatience();
}

// The two functions below run in the page.

async function begin({ key, url, flush_seconds, options }) {
  await window.amplitude.init(key, {
    serverUrl: url + "/2/httpapi",
    flushIntervalMillis: flush_seconds * 1000,
    // Nothing to the vendor behind our back; and no events but the known ones.
    remoteConfig: { fetchRemoteConfig: false },
    enableDiagnostics: false,
    autocapture: false,
    ...options,
  }).promise;
}

function make(call) {
  const { amplitude } = window;
  const options = {
    user_id: call.user_id, device_id: call.device_id, time: call.time_ms, insert_id: call.id, ...call.context,
  };
  const identify = new amplitude.Identify();
  for (const [operation, properties] of Object.entries(call.operations))
    for (const [name, value] of Object.entries(properties)) identify[operation.slice(1)](name, value);
  const kinds = {
    track: () => amplitude.track(call.name, call.properties, options),
    identify: () => amplitude.identify(identify, options),
    set_group: () => amplitude.setGroup(call.group_type, call.group_id, options),
    group_identify: () => amplitude.groupIdentify(call.group_type, call.group_id, identify, options),
  };
  kinds[call.kind]().promise.then(({ code, message }) => window.told(call.id, code, message));
}
