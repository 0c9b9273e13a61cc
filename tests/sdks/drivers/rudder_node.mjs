// Drives @rudderstack/rudder-sdk-node: each call's callback tells of its event.
// errorHandler is set because without one a refused batch is an unhandled rejection, which ends a Node process.
import { message } from "./messages.mjs";
import { leave, order, outcome, outcomesOrPatience, paced, require } from "./protocol.mjs";

const Analytics = require("@rudderstack/rudder-sdk-node");

const analytics = new Analytics(order.key, {
  dataPlaneUrl: order.url,
  flushInterval: order.flush_seconds * 1000,
  logLevel: "none",
  errorHandler: () => {},
  ...order.options,
});
await paced((call) => {
  const told = (error) => outcome(call.id, error ? String(error) : null);
  analytics[call.kind](message(call), told);
});
// One flush takes one batch, and waits for the one before it.
setInterval(() => analytics.flush(), order.flush_seconds * 1000);
await outcomesOrPatience();
leave();
