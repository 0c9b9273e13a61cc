"""Drives amplitude-analytics: the callback tells of each event; without one the SDK has not given its verdict."""

from __future__ import annotations

from amplitude import Amplitude, BaseEvent, Config, EventOptions, Identify

from tests.sdks.calls import Call
from tests.sdks.drivers.protocol import Order, Report, leave

_OPERATIONS = {"$set": Identify.set, "$setOnce": Identify.set_once, "$add": Identify.add}


def main() -> None:
    """Make the calls, flush once and wait for the callbacks."""
    order, report = Order.read(), Report()

    def told(event: BaseEvent, code: int, message: str | None) -> None:
        report.outcome(event.insert_id, None if code == 200 else f"{code} {message}")

    config = Config(
        server_url=order.url + "/2/httpapi",
        flush_interval_millis=round(order.flush_seconds * 1000),
        callback=told,
        **order.options,
    )
    client = Amplitude(order.key, config)
    for call in order.paced(report):
        _make(client, call)
    client.flush()
    order.wait(lambda: len(report.outcomes) == len(order.calls))
    leave()


def _make(client: Amplitude, call: Call) -> None:
    identity = {"user_id": call.user_id, "device_id": call.device_id, "time": call.time_ms, "insert_id": call.id}
    options = EventOptions(**identity, **call.context)
    if call.kind == "track":
        client.track(BaseEvent(call.name, event_properties=call.properties, **identity, **call.context))
    elif call.kind == "identify":
        client.identify(_operations(call), options)
    elif call.kind == "set_group":
        client.set_group(call.group_type, call.group_id, options)
    elif call.kind == "group_identify":
        client.group_identify(call.group_type, call.group_id, _operations(call), options)
    else:
        raise ValueError(f"amplitude-analytics has no call {call.kind}")


def _operations(call: Call) -> Identify:
    identify = Identify()
    for operation, properties in call.operations.items():
        for name, value in properties.items():
            _OPERATIONS[operation](identify, name, value)
    return identify


if __name__ == "__main__":
    main()
