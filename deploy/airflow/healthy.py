"""Container health: `python deploy/airflow/healthy.py URL [COMPONENT]` asks Airflow's health page; 0 healthy, 1 not."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 5.0


def main(arguments: list[str]) -> int:
    """Return 0 when the page answers and, where a component is named, calls it healthy."""
    url, *component = arguments
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the URL is the caller's own
            page = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1
    wrong = [f"{name} is {_status(page, name)}" for name in component if _status(page, name) != "healthy"]
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


def _status(page: dict[str, dict[str, str | None]], component: str) -> str:
    return (page.get(component) or {}).get("status") or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
