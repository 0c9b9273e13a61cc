"""`make run`: the whole pipeline on this machine, fed with realistic events, with a live board, until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Mapping
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta

from include.contract.settings import load
from include.errors import SetupError
from local.board.links import links
from local.board.observer import Observer
from local.board.screen import Screen
from local.board.traffic import Traffic
from local.board.view import View
from local.cli import say
from local.control import log_file
from local.signals import StopRequested, stop_requests
from local.stack import Stack

_TICK_SECONDS = 0.5


class RunSettings(msgspec.Struct, frozen=True):
    """What `make run` does beside starting the stack."""

    rate_events_per_second: Annotated[
        float,
        Meta(ge=0, le=20_000, description="Events that `make run` posts per second, mean of a day; 0: none."),
    ] = 200.0


def run_settings(environ: Mapping[str, str] = os.environ) -> RunSettings:
    """Return the settings; raises SetupError naming the variable that is wrong."""
    known = {"LOCAL_" + field.upper() for field in RunSettings.__struct_fields__}
    return load(RunSettings, "LOCAL_", {name: environ[name] for name in known & environ.keys()})


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C, SIGTERM, a closed terminal or `make stop`; 1 when it could not go on."""
    options, screen = _options(arguments), Screen(say)
    with stop_requests() as requests:
        stack = None
        try:
            rate = run_settings().rate_events_per_second if options.rate is None else options.rate
            stack = Stack(say=screen.tell)
            stack.start()
            screen.tell(f"everything serves; posting about {rate:g} events/s" if rate else "everything serves")
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
