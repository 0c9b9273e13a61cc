// Drives @amplitude/analytics-node: each call's promise tells of its event.
// No flush(): an explicit flush gives every event up at the first refusal; the timer's own flush retries.
import { leave, order, outcome, outcomesOrPatience, paced, require } from "./protocol.mjs";

const amplitude = require("@amplitude/analytics-node");

const { promise } = amplitude.init(order.key, {
  serverUrl: order.url + "/2/httpapi",
  flushIntervalMillis: order.flush_seconds * 1000,
  ...order.options,
});
await promise;
await paced((call) => {
  make(call).promise.then(({ code, message }) => outcome(call.id, code === 200 ? null : `${code} ${message}`));
});
await outcomesOrPatience();
leave();

function make(call) {
  const options = {
    user_id: call.user_id, device_id: call.device_id, time: call.time_ms, insert_id: call.id, ...call.context,
  };
  switch (call.kind) {
    case "track": return amplitude.track(call.name, call.properties, options);
    case "identify": return amplitude.identify(operations(call), options);
    case "set_group": return amplitude.setGroup(call.group_type, call.group_id, options);
    case "group_identify": return amplitude.groupIdentify(call.group_type, call.group_id, operations(call), options);
    default: throw new Error(`@amplitude/analytics-node has no call ${call.kind}`);
  }
}

function operations(call) {
  const identify = new amplitude.Identify();
  for (const [operation, properties] of Object.entries(call.operations))
    for (const [name, value] of Object.entries(properties)) identify[operation.slice(1)](name, value);
  return identify;
}
