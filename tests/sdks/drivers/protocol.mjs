// What the Node drivers share: their order on standard input, the packages, their pace, and their report as JSON lines.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

export const order = JSON.parse(readFileSync(0, "utf8"));
// The packages lie in the tool chain, not beside these files.
export const require = createRequire(process.argv[2] + "/");
export { sleep };

const outcomes = new Map();

export function line(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

export function outcome(id, reason) {
  if (outcomes.has(id)) return;
  outcomes.set(id, reason);
  line({ id, delivered: reason === null, reason });
}

// Makes each call at its pace (0: as fast as it goes), then says that it was made.
export async function paced(make) {
  const began = performance.now();
  for (const [number, call] of order.calls.entries()) {
    const early = order.per_second ? began + (number * 1000) / order.per_second - performance.now() : 0;
    if (early > 0) await sleep(early);
    make(call);
    line({ sent: call.id });
  }
}

// Waits until every call has an outcome or the patience ends.
export async function outcomesOrPatience() {
  const end = performance.now() + order.patience_seconds * 1000;
  while (outcomes.size < order.calls.length && performance.now() < end) await sleep(20);
}

// Ends at once: an SDK's timers would go on trying.
export function leave() {
  process.stdout.write("", () => process.exit(0));
}
