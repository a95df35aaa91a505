"""The live page's server: a few routes over the session, for this machine alone unless it is told otherwise."""

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

from optigram.apps.live.session import DONE, LARGEST, LONGEST, Session
from optigram.errors import InputError
from optigram.methods import chains
from optigram.methods import paper as presets
from optigram.runs.site_list import list_sites

LOOK = 0.05  # seconds between two looks at whether a job has something new
LARGEST_BODY = 1 << 14  # bytes
ADDRESSES = 40  # suggested


def application(session: Session, hosts: list[str]) -> Starlette:
    """The application; it answers requests for `hosts` only, and closes the session when it ends."""

    @contextlib.asynccontextmanager
    async def closing(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(session.close)

    routes = [
        Route("/", lambda request: _page(session)),
        Route("/judge", functools.partial(_judge, session), methods=["POST"]),
        Route("/jobs", functools.partial(_ask, session), methods=["POST"]),
        Route("/jobs/{number:int}", functools.partial(_cancel, session), methods=["DELETE"]),
        Route("/jobs/{number:int}/events", functools.partial(_events, session)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={InputError: _refused},
        lifespan=closing,
    )


async def _judge(session: Session, request: Request) -> Response:
    asked = await _asked(request, {"target": str, "text": str})
    return JSONResponse(await run_in_threadpool(session.judged, **asked))


async def _ask(session: Session, request: Request) -> Response:
    asked = await _asked(request, {"target": str, "by": str, "length": int, "budget": float, "seed": int})
    job = await run_in_threadpool(session.ask, **asked)
    return JSONResponse({"number": job.number}, status_code=201)


async def _cancel(session: Session, request: Request) -> Response:
    session.cancel(_job(session, request))
    return Response(status_code=204)


async def _events(session: Session, request: Request) -> Response:
    job = session.jobs[_job(session, request)]

    async def told() -> AsyncIterator[str]:
        sent = 0
        while True:
            ended = job.state in DONE
            for event in job.events[sent:]:
                yield f"data: {json.dumps(event)}\n\n"
                sent += 1
            if ended or session.closed or await request.is_disconnected():
                return
            await asyncio.sleep(LOOK)

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _job(session: Session, request: Request) -> int:
    number = request.path_params["number"]
    if number not in session.jobs:
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


def _page(session: Session) -> Response:
    script = _part("apps.live", "explore.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_part("apps.live", "explore.html.j2")).render(
        model=session.name,
        template=session.template,
        targets=[row.address for row in itertools.islice(list_sites(session.model), ADDRESSES)],
        methods=[name for name in chains.NAMES if session.corpus is not None or name != presets.CORPUS],
        longest=LONGEST,
        largest=int(LARGEST),
        style=Markup(_part("report", "page/theme.css") + _part("apps.live", "explore.css")),
        script=Markup(script),
    )
    policy = f"default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


def _part(room: str, name: str) -> str:
    return (files(f"optigram.{room}") / name).read_text(encoding="utf-8")
