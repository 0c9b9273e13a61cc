// Drives @segment/analytics-node: each call's callback tells of its event.
import { message } from "./messages.mjs";
import { leave, order, outcome, paced, require, sleep } from "./protocol.mjs";

const { Analytics } = require("@segment/analytics-node");

const analytics = new Analytics({
  writeKey: order.key,
  host: order.url,
  flushInterval: order.flush_seconds * 1000,
  ...order.options,
});
await paced((call) => {
  const told = (error) => outcome(call.id, error ? String(error) : null);
  analytics[call.kind](message(call), told);
});
// Gives up what is left when the time is over, and says so in the callbacks.
await analytics.closeAndFlush({ timeout: order.patience_seconds * 1000 });
await sleep(100);
leave();
