"""Times of generated events: RFC 3339 text made quickly, and how busy each hour of a day is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS = tuple(f"{ms // 1000:02d}.{ms % 1000:03d}" for ms in range(MINUTE_MS))
"""The seconds of a minute as text, for each of its milliseconds."""

_CACHED_MINUTES = 100_000
_BUSY = (
    0.34, 0.25, 0.22, 0.22, 0.28, 0.55, 1.10, 1.62, 1.60, 1.22, 1.05, 1.08,
    1.20, 1.15, 1.05, 1.12, 1.38, 1.78, 1.80, 1.52, 1.22, 0.98, 0.74, 0.53,
)  # fmt: skip


def busy(epoch_ms: float) -> float:
    """Return the traffic at this time of day as a multiple of the day's mean, in Central European Time."""
    hours = (epoch_ms / HOUR_MS + 1) % 24
    hour = int(hours)
    part = hours - hour
    return _BUSY[hour] * (1 - part) + _BUSY[(hour + 1) % 24] * part


class Minutes(dict[int, str]):
    """The text of a minute up to its seconds, made once: `minutes[epoch_ms // 60000] + SECONDS[rest] + suffix`."""

    def __init__(self, utc_offset_minutes: int) -> None:
        super().__init__()
        self._zone = timezone(timedelta(minutes=utc_offset_minutes))
        sign, ahead = ("-" if utc_offset_minutes < 0 else "+"), abs(utc_offset_minutes)
        self.suffix = f"{sign}{ahead // 60:02d}:{ahead % 60:02d}" if utc_offset_minutes else "Z"

    def __missing__(self, minute: int) -> str:
        if len(self) > _CACHED_MINUTES:
            self.clear()
        moment = (EPOCH + timedelta(minutes=minute)).astimezone(self._zone)
        text = self[minute] = moment.strftime("%Y-%m-%dT%H:%M:")
        return text

    def text(self, epoch_ms: int) -> str:
        """Return the RFC 3339 text of one time."""
        minute, rest = divmod(epoch_ms, MINUTE_MS)
        return self[minute] + SECONDS[rest] + self.suffix


def to_datetime(epoch_ms: float) -> datetime:
    """Return the time in UTC, to the millisecond."""
    return EPOCH + timedelta(milliseconds=int(epoch_ms))
