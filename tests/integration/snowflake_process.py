"""A Snowflake stand-in of a test's own: started, killed and started again on one folder and port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from local.ports import free_ports


class SnowflakeProcess:
    """`python -m local.snowflake` on a free port; `endpoints` is what `snowflake_client.connect` takes."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_ports(["snowflake"])["snowflake"]
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LOCAL_")},
            "LOCAL_SNOWFLAKE_PORT": str(self.port),
            "LOCAL_SNOWFLAKE_DIR": str(folder),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoints(self) -> dict[str, str]:
        known = {
            "account": "local",
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
            "database": "ANALYTICS",
        }
        return {"LOCAL_AMPLITUDE_SNOWFLAKE": json.dumps({**known, "user": "test", "password": "test"})}

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "local.snowflake"], env=self.environ)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, "the stand-in ended while starting"
            assert time.monotonic() < deadline, "the stand-in does not answer"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
