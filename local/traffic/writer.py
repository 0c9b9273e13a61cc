"""Writes the events of one device as JSON text: sessions, sign-in and sign-out, actions, and now and then a defect."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from local.traffic.catalogue import App
from local.traffic.defects import spoil, without_id
from local.traffic.model import ExpectedEvent, TrafficConfig
from local.traffic.people import Device
from local.traffic.times import MINUTE_MS, SECONDS, Minutes

SESSION_GAP_MS = 30 * MINUTE_MS
SIGN_IN_RATIO = 0.3
SIGN_OUT_RATIO = 0.03
UNKNOWN_FIELDS_RATIO = 0.02
UNKNOWN_FIELDS = (
    ',"network_type":"5g","battery_percent":54}', ',"network_type":"wifi"}', ',"screen_width":1179,"jailbroken":false}',
    ',"experiment":{"name":"new_map","group":"b"}}',
)  # fmt: skip


class Writer:
    """Turns (device, span of time, number of events) into JSON texts and what is expected of each."""

    def __init__(self, config: TrafficConfig, rng: Random, apps: tuple[App, ...]) -> None:
        self._config = config
        self._rng = rng
        self._choices = {
            app.source_id: [(step.name, step.variants) for step in app.steps for _ in range(step.weight)]
            for app in apps
        }
        self._minutes: dict[int, Minutes] = {}

    def minutes(self, device: Device) -> Minutes:
        """Return the times in the zone that this device writes."""
        found = self._minutes.get(device.utc_offset_minutes)
        if found is None:
            found = self._minutes[device.utc_offset_minutes] = Minutes(device.utc_offset_minutes)
        return found

    def write(self, device: Device, first_ms: int, last_ms: int, count: int) -> tuple[list[str], list[ExpectedEvent]]:
        """Let the device do `count` things between two times (true time), and leave it as its user is afterwards."""
        opened = first_ms - device.last_ms > SESSION_GAP_MS
        if opened:
            device.session_id = first_ms + device.skew_ms
        change_at = self._change_at(device, count)
        texts = self._texts(device, first_ms, last_ms, count, change_at, opened=opened)
        if change_at < count:
            device.signed_in = not device.signed_in
        device.last_ms = last_ms
        return self._finish(device, texts)

    def _change_at(self, device: Device, count: int) -> int:
        """Return the index of the event that signs in or out, or `count`."""
        ratio = SIGN_OUT_RATIO if device.signed_in else SIGN_IN_RATIO
        return int(self._rng.random() * count) if self._rng.random() < ratio else count

    def _texts(
        self, device: Device, first_ms: int, last_ms: int, count: int, change_at: int, *, opened: bool
    ) -> list[tuple[str, str]]:
        random, choices = self._rng.random, self._choices[device.app.source_id]
        kinds, minutes = len(choices), self.minutes(device)
        suffix, user = minutes.suffix, f',"user_id":"{device.user_id}"'
        who = user if device.signed_in else ""
        common = f'","session_id":"{device.session_id}",{device.fixed}'
        shift, step = first_ms + device.skew_ms, (last_ms - first_ms) / count
        texts = []
        for index, event_id in enumerate(_event_ids(self._rng, count)):
            name, variants = choices[int(random() * kinds)]
            properties = variants[int(random() * len(variants))]
            if index == change_at:
                name, who = ("signed_out", "") if device.signed_in else ("signed_in", user)
                properties += f',"user_properties":{device.user_properties}'
            elif opened and index == 0:
                name = "session_started"
            minute, rest = divmod(shift + int(step * (index + random())), MINUTE_MS)
            head = f'{{"event_id":"{event_id}","event_name":"{name}","occurred_at":"{minutes[minute]}{SECONDS[rest]}'
            texts.append((event_id, f'{head}{suffix}{common}{who},"event_properties":{properties}}}'))
        return texts

    def _finish(self, device: Device, texts: list[tuple[str, str]]) -> tuple[list[str], list[ExpectedEvent]]:
        random, source_id, consented = self._rng.random, device.app.source_id, device.consented
        malformed, nameless = self._config.malformed_ratio, self._config.without_id_ratio
        plain = 1 - UNKNOWN_FIELDS_RATIO
        written, expected = [], []
        for event_id, text in texts:
            draw = random()
            if draw < malformed:
                spoiled, defect = spoil(text, self._rng)
                written.append(spoiled)
                expected.append(ExpectedEvent(source_id, event_id, "failed", consented, defect))
            elif draw > plain:
                written.append(text[:-1] + UNKNOWN_FIELDS[int(random() * len(UNKNOWN_FIELDS))])
                expected.append(ExpectedEvent(source_id, event_id, "valid", consented, None))
            elif draw < malformed + nameless:
                written.append(without_id(text))
                expected.append(ExpectedEvent(source_id, None, "valid", consented, "without_id"))
            else:
                written.append(text)
                expected.append(ExpectedEvent(source_id, event_id, "valid", consented, None))
        return written, expected


def _event_ids(rng: Random, count: int) -> Iterator[str]:
    digits = rng.randbytes(16 * count).hex()
    for start in range(0, 32 * count, 32):
        key = digits[start : start + 32]
        yield f"{key[:8]}-{key[8:12]}-4{key[13:16]}-a{key[17:20]}-{key[20:]}"
