"""The live page's server: a few routes over the desk, for this machine alone unless it is told otherwise."""

import asyncio
import base64
import contextlib
import functools
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from optigram.apps.live.session import DONE, LARGEST, LONGEST, Desk
from optigram.errors import InputError
from optigram.methods import chains
from optigram.methods import paper as presets
from optigram.runs.site_list import listing

LOOK = 0.05  # seconds between two looks at whether a job has something new
LARGEST_BODY = 1 << 14  # bytes
ADDRESSES = 40  # suggested


def application(desk: Desk, hosts: list[str]) -> Starlette:
    """The application; it answers requests for `hosts` only, and closes the desk when it ends."""

    @contextlib.asynccontextmanager
    async def closing(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.close)

    routes = [
        Route("/", lambda request: _page(desk)),
        Route("/judge", functools.partial(_judge, desk), methods=["POST"]),
        Route("/jobs", functools.partial(_ask, desk), methods=["POST"]),
        Route("/jobs/{number:int}", functools.partial(_cancel, desk), methods=["DELETE"]),
        Route("/jobs/{number:int}/events", functools.partial(_events, desk)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={InputError: _refused},
        lifespan=closing,
    )


async def _judge(desk: Desk, request: Request) -> Response:
    asked = await _asked(request, {"target": str, "text": str})
    return JSONResponse(await run_in_threadpool(desk.judged, **asked))


async def _ask(desk: Desk, request: Request) -> Response:
    asked = await _asked(request, {"target": str, "by": str, "length": int, "budget": float, "seed": int})
    job = await run_in_threadpool(desk.ask, **asked)
    return JSONResponse({"number": job.number}, status_code=201)


async def _cancel(desk: Desk, request: Request) -> Response:
    desk.cancel(_job(desk, request))
    return Response(status_code=204)


async def _events(desk: Desk, request: Request) -> Response:
    job = desk.jobs[_job(desk, request)]

    async def told() -> AsyncIterator[str]:
        sent = 0
        while True:
            ended = job.state in DONE
            for event in job.events[sent:]:
                yield f"data: {json.dumps(event)}\n\n"
                sent += 1
            if ended or desk.closed or await request.is_disconnected():
                return
            await asyncio.sleep(LOOK)

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _job(desk: Desk, request: Request) -> int:
    number = request.path_params["number"]
    if number not in desk.jobs:
        raise HTTPException(404)
    return number


async def _asked(request: Request, fields: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """The fields of a JSON request; only scripts of this page can send one, as other sites' forms cannot."""
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise HTTPException(415, "expected application/json")
    body = await request.body()
    if len(body) > LARGEST_BODY:
        raise HTTPException(413)
    try:
        found = json.loads(body)
        return {name: kind(found[name]) for name, kind in fields.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"expected {', '.join(fields)} as JSON; {type(error).__name__}: {error}") from error


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


def _page(desk: Desk) -> Response:
    script = _part("apps.live", "explore.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_part("apps.live", "explore.html.j2")).render(
        model=desk.name,
        template=desk.template,
        targets=[row.address for row in itertools.islice(listing(desk.model), ADDRESSES)],
        methods=[name for name in chains.NAMES if desk.corpus is not None or name != presets.CORPUS],
        longest=LONGEST,
        largest=int(LARGEST),
        style=Markup(_part("report", "page/theme.css") + _part("apps.live", "explore.css")),
        script=Markup(script),
    )
    policy = f"default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


def _part(room: str, name: str) -> str:
    return (files(f"optigram.{room}") / name).read_text(encoding="utf-8")
