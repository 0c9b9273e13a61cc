"""`make smoke`: follows a known set of events through a stack of its own, and compares their ids at every hop."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from include.errors import SetupError
from local.endpoints_file import running_endpoints
from local.paths import ROOT
from local.settings import local_settings
from local.signals import StopRequested, stop_requests
from local.smoke.arrival import NotArrivedError
from local.smoke.compare import Hop
from local.smoke.run import Smoke, smoke
from local.smoke.table import show
from local.stack import Stack

_BEGAN = time.monotonic()


def main(arguments: list[str]) -> int:
    """Run it; 0 when all ids are equal, 1 on any difference or when something does not arrive, 130 when interrupted."""
    options = _options(arguments)
    wish = Smoke(options.events, options.seed, options.timeout, alone=not options.running)
    try:
        with stop_requests() as requests:
            try:
                hops = smoke(running_endpoints(), wish, _say) if options.running else _on_own_stack(wish)
            finally:
                requests.ignore()
    except (SetupError, NotArrivedError) as error:
        print(error, file=sys.stderr)
        return 1
    except StopRequested as request:
        print(f"{request}: stopped.", file=sys.stderr)
        return 130
    return _verdict(hops, wish)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.smoke", description=__doc__)
    add = parser.add_argument
    add("--running", action="store_true", help="use the stack that `make run` runs instead of one of its own")
    add("--events", type=int, default=5_000, metavar="N", help="events of the known set (default: %(default)s)")
    add("--seed", type=int, default=1, help="same seed, same people (default: %(default)s)")
    add("--timeout", type=float, default=240.0, metavar="SECONDS", help="wait for arrival (default: %(default)s)")
    return parser.parse_args(arguments)


def _on_own_stack(wish: Smoke) -> list[Hop]:
    """Run on a fresh stack on free ports; its state is deleted when nothing failed."""
    base = (ROOT / local_settings().state_dir).resolve()
    base.mkdir(parents=True, exist_ok=True)
    state = Path(tempfile.mkdtemp(prefix="smoke-", dir=base))
    env = {"PIPELINE_START_DATE": f"{datetime.now(UTC):%Y-%m-%dT%H:00}"}
    try:
        with Stack(state, ports="free", env=env, say=_say) as stack:
            _say("the stack serves")
            hops = smoke(stack.endpoints, wish, _say, stack.tick)
    except (SetupError, NotArrivedError):
        _say(f"the logs stay in {state / 'logs'} until `make clean`")
        raise
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        raise
    if all(hop.is_equal for hop in hops):
        shutil.rmtree(state, ignore_errors=True)
    else:
        _say(f"state and logs stay in {state} until `make clean`")
    return hops


def _verdict(hops: list[Hop], wish: Smoke) -> int:
    show(Console(width=None if sys.stdout.isatty() else 120), hops)
    different = [hop.name for hop in hops if not hop.is_equal]
    if different:
        print(f"smoke: DIFFERENT at {', '.join(different)} (seed {wish.seed}, {time.monotonic() - _BEGAN:.0f} s)")
        return 1
    print(f"smoke: all ids are equal at every hop ({time.monotonic() - _BEGAN:.0f} s)")
    return 0


def _say(line: str) -> None:
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
