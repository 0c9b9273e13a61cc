"""Where a person goes on from the board: pages of the parts, and the command that queries the warehouse."""

from __future__ import annotations

from collections.abc import Mapping


def links(endpoints: Mapping[str, str], *, has_data_docs: bool) -> list[tuple[str, str]]:
    """Return (what, where) rows."""
    container = endpoints.get("PIPELINE_DATA_DOCS_CONTAINER", "datadocs")
    storage = f"http://127.0.0.1:{endpoints['LOCAL_AZURITE_PORT']}/devstoreaccount1"
    docs = f"{storage}/{container}/index.html" if has_data_docs else "not written yet"
    return [
        ("Airflow", endpoints["LOCAL_URL_AIRFLOW"]),
        ("API docs", f"{endpoints['LOCAL_URL_INGEST']}/docs"),
        ("Data Docs", docs),
        ("Warehouse", 'make sql, or make sql Q="SELECT * FROM CORE.EVENTS LIMIT 5"'),
        ("For clients", f"set -a; . {endpoints['LOCAL_STATE_DIR']}/client.env; set +a"),
    ]
