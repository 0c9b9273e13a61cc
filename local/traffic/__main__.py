"""Posts generated traffic to an ingest API: `python -m local.traffic --help`."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from local.traffic.generator import generate
from local.traffic.model import SOURCES, PlannedRequest, TrafficConfig
from local.traffic.sender import Sender, Target
from local.traffic.tally import Tally

PROGRESS_SECONDS = 2.0
UNPACED_EVENTS_PER_SECOND = 10_000.0
EXAMPLE = """examples:
  python -m local.traffic --events 5000                      a short burst, as fast as the API takes it
  python -m local.traffic --rate 500 --duration 600          ten minutes of 500 events/s on average
  python -m local.traffic --events 1000 --seed 7 --ledger sent.jsonl

Exit code: 0 all acknowledged, 1 something was never acknowledged, 2 wrong call, 130 interrupted."""


def main(arguments: list[str] | None = None) -> int:
    """Send until the limit of events or time is reached, or Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    environment = {**({} if options.keys_from_env else _env_file(options.env_file)), **os.environ}
    target = Target(
        options.url or environment.get("LOCAL_URL_INGEST", "http://127.0.0.1:8000"),
        _write_keys(environment, parser),
        options.give_up_after,
    )
    tally = Tally(options.ledger)
    sender = Sender(target, options.connections, tally.add)
    print(f"sending to {target.url} with seed {options.seed}", flush=True)
    sender.start()
    try:
        interrupted = _send(_paced(options), sender, tally)
        tally.close()
    except OSError as error:
        with contextlib.suppress(OSError):
            tally.close()
        print(f"the ledger cannot be written ({error}); nothing more was sent", flush=True)
        return 1
    print(tally.summary(), flush=True)
    if interrupted:
        return 130
    return 0 if tally.all_acknowledged() else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.traffic", description=__doc__, epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--url", help="ingest API (default: LOCAL_URL_INGEST, else http://127.0.0.1:8000)")
    add("--env-file", type=Path, default=Path(".local/endpoints.env"), metavar="FILE",
        help="where LOCAL_WRITE_KEY_PHONE_APP, _WEB_APP and _CAR_APP are read from when the environment has none"
             " (default: %(default)s)")  # fmt: skip
    add("--keys-from-env", action="store_true", help="take the keys from the environment alone, not from --env-file")
    add("--events", type=_positive(int), metavar="N", help="stop after N events, repeated requests not counted")
    add("--duration", type=_positive(float), metavar="SECONDS", help="stop after this time")
    add("--rate", type=_positive(float), metavar="EVENTS_PER_S", help="mean events/s (default: as fast as possible)")
    add("--seed", type=int, default=random.randrange(2**31), help="same seed, same persons (default: random)")  # noqa: S311
    add("--users", type=_positive(int), default=1_000, metavar="N", help="persons (default: %(default)s)")
    add("--connections", type=_positive(int), default=4, metavar="N", help="kept connections (default: %(default)s)")
    add("--plain", action="store_true", help="send without gzip")
    add("--malformed", type=float, default=0.01, metavar="RATIO", help="malformed events (default: %(default)s)")
    add("--ledger", type=Path, metavar="FILE", help="write every acknowledged request with its ids as a JSON line")
    add("--give-up-after", type=_positive(float), default=120.0, metavar="SECONDS",
        help="how long one request is tried (default: %(default)s)")  # fmt: skip
    return parser


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError("must be above 0")
        return value

    parse.__name__ = kind.__name__
    return parse


def _env_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    words = shlex.split(path.read_text(encoding="utf-8"), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def _write_keys(environment: Mapping[str, str], parser: argparse.ArgumentParser) -> dict[str, str]:
    names = {source: f"LOCAL_WRITE_KEY_{source.upper().replace('-', '_')}" for source in SOURCES}
    missing = [name for name in names.values() if not environment.get(name)]
    if missing:
        parser.error(f"{', '.join(missing)} not set; start the stack (make run) or set them in the environment")
    return {source: environment[name] for source, name in names.items()}


def _paced(options: argparse.Namespace) -> Iterator[PlannedRequest]:
    """Yield requests when they are due, or at once without a rate; ends with the duration."""
    config = TrafficConfig(
        seed=options.seed, start=datetime.now(UTC), users=options.users, max_events=options.events,
        events_per_second=options.rate or UNPACED_EVENTS_PER_SECOND, compress=not options.plain,
        malformed_ratio=options.malformed,
    )  # fmt: skip
    began = time.monotonic()
    for request in generate(config):
        due = (request.due_at - config.start).total_seconds() if options.rate else 0.0
        if options.duration and max(due, time.monotonic() - began) >= options.duration:
            return
        time.sleep(max(began + due - time.monotonic(), 0))
        yield request


def _send(requests: Iterator[PlannedRequest], sender: Sender, tally: Tally) -> bool:
    """Hand all requests over and wait for the last; return True when Ctrl-C ended it."""
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(sender, tally, ended))
    teller.start()
    try:
        for request in requests:
            sender.submit(request)
        sender.finish()
    except KeyboardInterrupt:
        print("interrupted: ending the requests under way", flush=True)
        sender.cancel()
        sender.finish()
        return True
    except OSError:
        sender.cancel()
        with contextlib.suppress(OSError):
            sender.finish()
        raise
    finally:
        ended.set()
        teller.join()
    return False


def _tell(sender: Sender, tally: Tally, ended: threading.Event) -> None:
    while not ended.wait(PROGRESS_SECONDS):
        print(tally.progress() + (f"; last problem: {sender.problem}" if sender.problem else ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())
