"""The HTTP side of the stand-in: fakesnow's endpoints over one durable account, with errors a client does not retry."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from snowflake.connector.errors import Error
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.snowflake import bulk_rows
from local.snowflake.account import Account
from local.snowflake.errors import INTERNAL
from local.snowflake.session import Session
from local.snowflake.transforms.session_parameters import PARAMETERS

# fakesnow exports a function of the same name as this module.
fakesnow_server: Any = importlib.import_module("fakesnow.server")

REMEMBERED_REQUESTS = 64
LARGEST_REMEMBERED = 1_000_000
TOKEN_START, TOKEN_END = 17, -1  # Authorization: Snowflake Token="..."


class Endpoints:
    """The endpoints that differ from fakesnow's, and the requests they have answered lately."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, asyncio.Task[Response]] = OrderedDict()
        self._running: dict[str, Session] = {}

    def routes(self) -> list[Route]:
        """Return every route of the stand-in."""
        own = [
            Route("/", ready),
            Route("/session/v1/login-request", login, methods=["POST"]),
            Route("/session", end_session, methods=["POST"]),
            Route("/queries/v1/query-request", self.query, methods=["POST"]),
            Route("/queries/v1/abort-request", self.abort, methods=["POST"]),
        ]
        paths = {route.path for route in own}
        return own + [route for route in fakesnow_server.routes if route.path not in paths]

    async def query(self, request: Request) -> Response:
        """Run a statement once, however often its request comes: a client repeats the request id when a line breaks."""
        request_id = request.query_params.get("requestId", "")
        task = self._answers.get(request_id)
        if task is None:
            body = await _json_body(request)
            task = asyncio.ensure_future(self._run(request, body, request_id))
            if request_id:
                self._answers[request_id] = task
            while len(self._answers) > REMEMBERED_REQUESTS:
                self._answers.popitem(last=False)
        response = await asyncio.shield(task)
        if len(response.body) > LARGEST_REMEMBERED:
            self._answers.pop(request_id, None)
        return response

    async def _run(self, request: Request, body: dict[str, Any], request_id: str) -> Response:
        session = session_of(request)
        if session is None:
            return await _forward(request, body)
        self._running[request_id] = session
        try:
            return await _statement(request, body, session)
        except Error as error:
            return failure(error.msg or str(error), error.errno or INTERNAL[0], error.sqlstate or INTERNAL[1])
        finally:
            self._running.pop(request_id, None)

    async def abort(self, request: Request) -> Response:
        """Cancel the statement of another request."""
        body = await _json_body(request)
        session = self._running.get(str(body.get("requestId")))
        if session is not None:
            session.interrupt()
        return JSONResponse({"success": True, "data": None, "code": None, "message": None})


def create_app(account: Account) -> Starlette:
    """Return the application; it owns `account` and closes it at the end."""
    fakesnow_server.shared_fs = account
    fakesnow_server.from_binding = bulk_rows.python_value
    return Starlette(routes=Endpoints().routes(), lifespan=_lifespan(account))


def _lifespan(account: Account) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        for session in fakesnow_server.sessions.values():
            session.interrupt()
        account.close()

    return lifespan


async def ready(_: Request) -> Response:
    """Answer once the account is open."""
    return JSONResponse({"status": "ready", "service": "snowflake stand-in"})


async def login(request: Request) -> Response:
    """Open a session. Anybody may: password and key-pair tokens are accepted unseen."""
    body = await _json_body(request)
    data = body.setdefault("data", {})
    given = data.setdefault("SESSION_PARAMETERS", {})
    given.pop("FAKESNOW_DB_PATH", None)  # one account, one folder
    response = await _forward(request, body)
    answer = json.loads(bytes(response.body))
    session = fakesnow_server.sessions.get((answer.get("data") or {}).get("token"))
    if session is None:
        return response
    query = request.query_params
    context = {"USER": data.get("LOGIN_NAME"), "ROLE": query.get("roleName"), "WAREHOUSE": query.get("warehouse")}
    session.context.update({name: str(value).upper() for name, value in context.items() if value})
    session.parameters.update({name: str(value) for name, value in given.items() if name in PARAMETERS})
    info = {"warehouseName": session.context.get("WAREHOUSE"), "roleName": session.context["ROLE"]}
    answer["data"]["sessionInfo"].update(info)
    return JSONResponse(answer)


async def end_session(request: Request) -> Response:
    """Close a session: its open transaction is rolled back."""
    session = session_of(request) if request.query_params.get("delete") else None
    response: Response = await fakesnow_server.session(request)
    if session is not None:
        await run_in_threadpool(session.close)
    return response


async def _statement(request: Request, body: dict[str, Any], session: Session) -> Response:
    bulk = _bulk_insert(body)
    if bulk is None:
        return await _forward(request, body)
    name = await run_in_threadpool(session.hold_rows, bulk.rows)
    try:
        plain = {key: value for key, value in body.items() if key != "bindings"}
        return await _forward(request, {**plain, "sqlText": bulk.sql.format(rows=name)})
    finally:
        await run_in_threadpool(session.forget_rows, name)


def _bulk_insert(body: dict[str, Any]) -> bulk_rows.BulkInsert | None:
    bindings = body.get("bindings") or {}
    if any(isinstance(binding["value"], list) for binding in bindings.values()):
        return bulk_rows.from_bindings(body["sqlText"], bindings)
    return bulk_rows.from_text(body["sqlText"]) if not bindings else None


async def _forward(request: Request, body: dict[str, Any]) -> Response:
    """Hand a request with this body to fakesnow; what it calls an internal error becomes Snowflake's, never retried."""
    content = json.dumps(body).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [(name, value) for name, value in request.scope["headers"] if name.lower() != b"content-encoding"]
    forwarded = Request({**request.scope, "headers": headers}, receive)
    is_login = request.url.path.endswith("login-request")
    handler = fakesnow_server.login_request if is_login else fakesnow_server.query_request
    response: Response = await handler(forwarded)
    if response.status_code >= 500:
        return failure(json.loads(bytes(response.body))["message"], *INTERNAL)
    return response


def failure(message: str, errno: int, sqlstate: str) -> Response:
    """Return Snowflake's answer for a statement that failed."""
    code = f"{errno:06d}"
    data = {"errorCode": code, "sqlState": sqlstate}
    return JSONResponse({"data": data, "code": code, "message": message, "success": False})


def session_of(request: Request) -> Session | None:
    """Return the session whose token the request carries."""
    token = request.headers.get("Authorization", "")[TOKEN_START:TOKEN_END]
    session: Session | None = fakesnow_server.sessions.get(token)
    return session


async def _json_body(request: Request) -> dict[str, Any]:
    content = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        content = gzip.decompress(content)
    body: dict[str, Any] = json.loads(content or b"{}")
    return body
