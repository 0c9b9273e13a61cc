"""`make run`: the whole pipeline on this machine, fed with realistic events, with a live board, until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import os
import time
from datetime import UTC, datetime
from typing import NoReturn

from include.errors import SetupError
from local.board.links import links
from local.board.observer import Observer
from local.board.screen import Screen
from local.board.traffic import Traffic
from local.board.view import View
from local.cli import say
from local.control import log_file
from local.environment import require_known
from local.settings import run_settings
from local.signals import StopRequested, stop_requests
from local.stack import Stack
from local.traffic.times import busy

_TICK_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C, SIGTERM, a closed terminal or `make stop`; 1 when it could not go on."""
    options, screen = _options(arguments), Screen(say)
    with stop_requests() as requests:
        stack = None
        try:
            require_known(os.environ)
            rate = run_settings().rate_events_per_second if options.rate is None else options.rate
            stack = Stack(say=screen.tell)
            stack.start()
            screen.tell("everything serves" + _posting(rate))
            _show(stack, Traffic(stack.endpoints, rate, options.events), screen)
        except StopRequested as request:
            say(f"{request}: stopping …")
            return 0
        except SetupError as error:
            say(f"{error}\nThe stack stops." if stack is not None and stack.has_started else str(error))
            return 1
        finally:
            requests.ignore()
            if stack is not None:
                stack.stop()
                if stack.has_started:
                    say("Stopped; nothing is left running.")


def _posting(rate: float) -> str:
    now = rate * busy(datetime.now(UTC).timestamp() * 1000)
    return f"; posting about {now:.0f} events/s at this time of day, {rate:g} as the mean of a day" if rate else ""


def _show(stack: Stack, traffic: Traffic, screen: Screen) -> NoReturn:
    """Keep the stack going and the board up to date; ends only by an exception."""
    # The clients' own warnings would tear the screen; what matters of them is on it.
    logging.basicConfig(filename=log_file(stack.state_dir, "board"), level=logging.WARNING)
    first_arrival: float | None = None
    with Observer(stack.endpoints) as observer, traffic, screen.board():
        before = observer.latest.counts
        while True:
            stack.tick()
            snapshot = observer.latest
            if first_arrival is None and (snapshot.counts.since(before).vendor or 0) > 0:
                first_arrival = screen.seconds()
            where = links(stack.endpoints, has_data_docs=snapshot.has_data_docs)
            parts = tuple(stack.status())
            screen.show(View(screen.seconds(), parts, traffic.sent, snapshot, before, tuple(where), first_arrival))
            time.sleep(_TICK_SECONDS)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.run", description=__doc__)
    parser.add_argument("--rate", type=float, help="events/s, mean of a day; 0 posts none (default: LOCAL_RATE_…)")
    parser.add_argument("--events", type=int, metavar="N", help="post only so many events; the stack stays up")
    return parser.parse_args(arguments)
