"""The HTTP server that takes webhooks: `POST /assets/<key>`, signed.

Called by the command. It verifies before it looks at anything else, so that nobody without the
secret learns which assets there are.
"""

import asyncio
import logging
import time
from http import HTTPStatus

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from data_platform.webhooks.reporting import Reporter
from data_platform.webhooks.signing import RefusedError, verified

LONGEST_BODY = 64 * 1024
BODY_SECONDS = 10.0
"""In which a body must have come."""
_log = logging.getLogger("data_platform.webhooks")


def webhooks_app(reporter: Reporter, secret: str) -> Starlette:
    """The server's paths: `POST /assets/<key>`, and `GET /health`.

    Args:
        reporter: what is told goes to it.
        secret: of the senders.
    """

    async def told(request: Request) -> Response:
        key = request.path_params["key"]
        try:
            body = await _body(request)
            signature = verified(
                secret,
                request.headers.get("x-signature"),
                request.headers.get("x-timestamp"),
                body,
                time.time(),
            )
            done = await run_in_threadpool(reporter.report, key, body, signature)
        except RefusedError as error:
            _log.warning("%s refused (%d): %s", key, error.status, error)
            return _refusal(error.status, str(error))
        except ClientDisconnect:
            return _refusal(HTTPStatus.BAD_REQUEST, "the body broke off")
        _log.info("%s: version %s", key, done["data_version"])
        return JSONResponse(done, HTTPStatus.ACCEPTED)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "up"})

    return Starlette(
        routes=[
            Route("/assets/{key:path}", told, methods=["POST"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _in_json, Exception: _trouble},
    )


def serve(app: Starlette, host: str, port: int) -> None:
    """Serve until interrupted; requests that are on their way are answered."""
    uvicorn.run(
        app, host=host, port=port, log_level="warning", server_header=False,
        timeout_keep_alive=5, timeout_graceful_shutdown=10, limit_concurrency=100,
    )  # fmt: skip


async def _body(request: Request) -> bytes:
    """The body, of which no more is read than may come."""
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > LONGEST_BODY:
        raise _too_long()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > LONGEST_BODY:
                    raise _too_long()
    except TimeoutError:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT, f"the body didn't come within {BODY_SECONDS:g} seconds"
        ) from None
    return bytes(body)


def _too_long() -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {LONGEST_BODY:,} bytes"
    )


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)


async def _in_json(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reasons = {
        404: "there is nothing here: POST to /assets/<key of the asset>",
        405: "only POST is taken here",
    }
    return _refusal(status, reasons.get(status, "the request can't be taken"))


async def _trouble(_: Request, error: Exception) -> Response:
    _log.error("a webhook couldn't be taken", exc_info=error)
    return _refusal(500, "Dagster's storage didn't take it: send it again")
