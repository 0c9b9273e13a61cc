"""Sets up the tool chain (`python -m local.setup`, `… tests`) or resolves its locks (`… lock`), for the Makefile."""

from __future__ import annotations

import sys

_OLDEST, _NEWEST = (3, 11), (3, 13)


def main() -> int:
    """Run; every problem that a user can solve is one sentence."""
    if not _OLDEST <= sys.version_info[:2] <= _NEWEST:
        found = ".".join(map(str, sys.version_info[:3]))
        advice = "name another one with make PYTHON=/path/to/python3.11"
        print(f"Python 3.11 to 3.13 is needed and {sys.executable} is {found}; {advice}.", file=sys.stderr)
        return 1
    # Only now: an older Python could not even read them.
    from include.errors import SetupError  # noqa: PLC0415
    from local.setup import install, lock  # noqa: PLC0415

    try:
        if sys.argv[1:2] == ["lock"]:
            lock.main(sys.argv[2:])
        else:
            install.main(sys.argv[1:])
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next `make setup` goes on where this one was.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
