"""Data Docs: the newest intervals' validation results as GX's own pages, in a container that a browser can open."""

from __future__ import annotations

import html
import logging
import mimetypes
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings

from include import plans
from include.blobs import lake_error
from include.distinct import Tally
from include.lake import Lake, result_name

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext

log = logging.getLogger(__name__)
INTERVALS = 24
"""Intervals on the index; the pages of older ones stay where they are."""
LOOK_BACK = 100
SUITES = ("events", "interval")
_LOGO = re.compile(r"<img[^>]*great-expectations-web-assets[^>]*>")
"""GX's pages fetch their logo from GX's servers with a time stamp, at every look."""
_INDEX = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Data Docs</title>
<style>body{{font:15px system-ui,sans-serif;margin:2rem;max-width:60rem}}td,th{{padding:.35rem .9rem;text-align:left;
border-bottom:1px solid #ddd}}td.n{{text-align:right}}td+td{{
white-space:nowrap}}.bad{{color:#b00020}}.ok{{color:#1b7a2f}}</style>
<h1>Validation of the newest intervals</h1><table><tr><th>Interval (UTC)<th>Events<th>Failed<th>Duplicates
<th>Expectations met, row by row<th>Interval warnings</tr>{rows}</table>
<p>Times are of arrival. An expectation is met when no event of the interval failed it, so a single bad event
turns one red; how many events failed is in the third column. Failed events are in
<code>CORE.FAILED_EVENTS</code>, with reason and raw bytes.</p></html>
"""


class Result(msgspec.Struct):
    """A plan's validation document, as staging writes it."""

    plan_id: str
    interval_start: datetime
    interval_end: datetime
    totals: dict[str, float]
    events: list[Tally]
    interval: list[Tally]


def publish_site(lake: Lake, site: ContainerClient) -> int:
    """Render the newest intervals that had events and have no page yet; returns the number of files uploaded."""
    results = _newest(lake)
    fresh = [result for result in results if not site.get_blob_client(_page(result, SUITES[0])).exists()]
    if not fresh:
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _render(fresh, folder)
        for page in folder.rglob("*.html"):
            page.write_text(_LOGO.sub("", page.read_text()))
        (folder / "index.html").write_text(_index(results))
        # The page that says "done" above goes last.
        files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda file: SUITES[0] in file.parts)
        return sum(_upload(site, folder, file) for file in files)


def _page(result: Result, suite: str) -> str:
    """Return where GX puts the page of a result."""
    run = f"{result.interval_start:%Y-%m-%d %H:%M}/{result.interval_start:%Y%m%dT%H%M%S.%fZ}"
    return f"validations/{suite}/{run}/{result.plan_id}.html"


def _newest(lake: Lake) -> list[Result]:
    newest = plans.latest(lake)
    found: list[Result] = []
    last = newest.sequence if newest else 0
    for sequence in range(last, max(0, last - LOOK_BACK), -1):
        plan = lake.read(sequence)
        result = lake.get(result_name(plan), Result) if plan and plan.envelopes else None
        if result is not None:
            found.append(result)
        if len(found) == INTERVALS:
            break
    return found


def _render(results: list[Result], folder: Path) -> None:
    import great_expectations as gx  # noqa: PLC0415 - seconds of import that only this step should pay
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for name in list(context.variables.data_docs_sites or ()):
        context.delete_data_docs_site(name)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        "lake", {"class_name": "SiteBuilder", "site_index_builder": index, "store_backend": store}
    )
    for result in results:
        for suite in SUITES:
            _remember(context, result, suite)
    context.build_data_docs()


def _index(results: list[Result]) -> str:
    """Return a start page that needs no script and no other server, as GX's own does."""
    return _INDEX.format(rows="".join(_index_row(result) for result in results))


def _index_row(result: Result) -> str:
    links = {}
    for suite in SUITES:
        tallies: list[Tally] = getattr(result, suite)
        met = sum(tally.unexpected == 0 for tally in tallies)
        kind = "ok" if met == len(tallies) else "bad"
        links[suite] = (
            f'<a class="{kind}" href="{html.escape(quote(_page(result, suite)))}">{met} of {len(tallies)}</a>'
        )
    totals, name = result.totals, f"{result.interval_start:%Y-%m-%d %H:%M} to {result.interval_end:%H:%M}"
    return (
        f'<tr><td>{name}<td class="n">{totals["rows"]:,.0f}<td class="n">{totals["failed_percent"]:.2f} %'
        f'<td class="n">{totals["duplicate_percent"]:.2f} %<td>{links["events"]}<td>{links["interval"]}</tr>'
    )


def _remember(context: EphemeralDataContext, result: Result, suite: str) -> None:
    from great_expectations.core import RunIdentifier  # noqa: PLC0415
    from great_expectations.data_context.types.resource_identifiers import (  # noqa: PLC0415
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    key = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(name=suite),
        run_id=RunIdentifier(run_name=f"{result.interval_start:%Y-%m-%d %H:%M}", run_time=result.interval_start),
        batch_identifier=result.plan_id,
    )
    context.validation_results_store.set(key, _validation(result, suite))


def _validation(result: Result, suite: str) -> ExpectationSuiteValidationResult:
    """Return the document as GX's own result: rows counted, not distinct values."""
    import great_expectations as gx  # noqa: PLC0415
    from great_expectations.core import ExpectationSuiteValidationResult  # noqa: PLC0415

    tallies: list[Tally] = getattr(result, suite)
    good = sum(tally.unexpected == 0 for tally in tallies)
    run = {"run_name": f"{result.interval_start:%Y-%m-%d %H:%M}", "run_time": result.interval_start.isoformat()}
    return ExpectationSuiteValidationResult(
        success=good == len(tallies),
        results=list(_expectations(tallies)),
        suite_name=suite,
        suite_parameters={},
        statistics={
            "evaluated_expectations": len(tallies),
            "successful_expectations": good,
            "unsuccessful_expectations": len(tallies) - good,
            "success_percent": 100 * good / max(1, len(tallies)),
        },
        meta={"run_id": run, "great_expectations_version": gx.__version__},
    )


def _expectations(tallies: list[Tally]) -> Iterator[Any]:
    from great_expectations.core import ExpectationValidationResult  # noqa: PLC0415
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: PLC0415

    for tally in tallies:
        config = tally.config
        kwargs = {k: [v["$PARAMETER"]] if isinstance(v, dict) else v for k, v in config["kwargs"].items()}
        percent = 100 * tally.unexpected / max(1, tally.rows)
        yield ExpectationValidationResult(
            success=tally.unexpected == 0,
            expectation_config=ExpectationConfiguration(
                type=config["type"], kwargs=kwargs, severity=config["severity"], meta=config.get("meta", {})
            ),
            result={
                "element_count": tally.rows,
                "missing_count": tally.missing,
                "missing_percent": 100 * tally.missing / max(1, tally.rows),
                "unexpected_count": tally.unexpected,
                "unexpected_percent": percent,
                "unexpected_percent_total": percent,
                "unexpected_percent_nonmissing": percent,
                "partial_unexpected_list": list(tally.examples),
                "partial_unexpected_counts": [{"value": v, "count": c} for v, c in tally.examples.items()],
            },
            exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
            meta={},
        )


def _upload(site: ContainerClient, folder: Path, file: Path) -> bool:
    """Upload a page unless the container has it already; tells whether it did."""
    blob, content = site.get_blob_client(file.relative_to(folder).as_posix()), file.read_bytes()
    digest = bytearray(md5(content, usedforsecurity=False).digest())
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    try:
        if blob.get_blob_properties().content_settings.content_md5 == digest:
            return False
    except ResourceNotFoundError:
        pass
    except AzureError as error:
        raise lake_error(error, f"looking at page {blob.blob_name}") from error
    try:
        blob.upload_blob(
            content, overwrite=True, content_settings=ContentSettings(content_type=kind, content_md5=digest)
        )
    except AzureError as error:
        raise lake_error(error, f"uploading page {blob.blob_name}") from error
    return True
