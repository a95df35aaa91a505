"""The live page's server: a few routes over the session, for this machine alone unless it is told otherwise."""

import asyncio
import base64
import contextlib
import functools
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from jinja2 import Environment, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from optigram.apps.live.jobs import DONE, Job
from optigram.apps.live.opening import METHODS, Opening
from optigram.apps.live.session import LARGEST, LONGEST, LONGEST_TEXT, Session
from optigram.errors import InputError
from optigram.methods import paper as presets
from optigram.runs.site_list import list_sites

LOOK = 0.05  # seconds between two looks at whether a job has something new
LARGEST_BODY = 1 << 16  # bytes
SLOWEST = 10.0  # seconds in which a body must have come
JUDGES = 2  # texts that are judged at the same time
SCRIPTS = tuple(f"page/{name}.js" for name in ("elements", "concepts", "plots"))  # of the report
LONGEST_TARGET, LARGEST_SEED = 1000, (1 << 63) - 1
LEAVE = {"Connection": "close"}  # do not read the rest of a body


class _Text(BaseModel):
    """A text to be judged."""

    model_config = ConfigDict(strict=True)

    target: str = Field(max_length=LONGEST_TARGET)
    text: str = Field(max_length=4 * LONGEST_TEXT)


class _Typed(BaseModel):
    """What somebody types as a target."""

    model_config = ConfigDict(strict=True)

    typed: str = Field(max_length=LONGEST_TARGET)


class _Search(BaseModel):
    """A search to be put into the queue."""

    model_config = ConfigDict(strict=True)

    target: str = Field(max_length=LONGEST_TARGET)
    by: str = Field(max_length=100)
    length: int
    budget: float
    seed: int = Field(ge=0, le=LARGEST_SEED)


Asked = TypeVar("Asked", _Text, _Typed, _Search)


def application(session: Session, hosts: list[str]) -> Starlette:
    """The application; it answers requests for `hosts` only, and closes the session when it ends."""

    @contextlib.asynccontextmanager
    async def closing(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(session.close)

    routes = [
        Route("/", lambda request: _page(session)),
        Route("/judge", functools.partial(_judge, session), methods=["POST"]),
        Route("/suggest", functools.partial(_suggest, session), methods=["POST"]),
        Route("/jobs", functools.partial(_ask, session), methods=["POST"]),
        Route("/jobs/{number:int}", functools.partial(_cancel, session), methods=["DELETE"]),
        Route("/jobs/{number:int}/events", functools.partial(_events, session)),
    ]
    made = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={InputError: _refused, Exception: _unexpected},
        lifespan=closing,
    )
    made.state.judges = CapacityLimiter(JUDGES)
    return made


async def _judge(session: Session, request: Request) -> Response:
    asked = await _asked(request, _Text)
    unwanted = threading.Event()

    async def until_gone() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(LOOK)
        unwanted.set()

    watching = asyncio.create_task(until_gone())
    try:
        judged = functools.partial(session.judged, asked.target, asked.text, unwanted.is_set)
        return JSONResponse(await to_thread.run_sync(judged, limiter=request.app.state.judges, abandon_on_cancel=True))
    except asyncio.CancelledError:
        if not session.closed:
            raise
        return Response(status_code=503)  # the server ends and waits no longer
    finally:
        unwanted.set()
        watching.cancel()


async def _suggest(session: Session, request: Request) -> Response:
    asked = await _asked(request, _Typed)
    return JSONResponse(await run_in_threadpool(Opening.suggestions, session.model, asked.typed))


async def _ask(session: Session, request: Request) -> Response:
    asked = await _asked(request, _Search)
    job = await run_in_threadpool(session.ask, **asked.model_dump())
    return JSONResponse({"number": job.number}, status_code=201)


async def _cancel(session: Session, request: Request) -> Response:
    session.cancel(_job(session, request).number)
    return Response(status_code=204)


async def _events(session: Session, request: Request) -> Response:
    """The events of a job as they come. A job that the last of those who watched it has left is cancelled."""
    job = _job(session, request)

    async def told() -> AsyncIterator[str]:
        sent, ended = 0, False
        job.watchers += 1
        try:
            while not (ended or session.closed or await request.is_disconnected()):
                events = job.events[sent:]
                for event in events:
                    yield f"data: {json.dumps(event, allow_nan=False)}\n\n"
                sent, ended = sent + len(events), job.events[sent + len(events) - 1]["state"] in DONE
                await asyncio.sleep(0 if ended else LOOK)
        finally:
            job.watchers -= 1
            if not (ended or job.watchers):
                session.cancel(job.number)

    return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _job(session: Session, request: Request) -> Job:
    job = session.jobs.get(request.path_params["number"])
    if job is None:
        raise HTTPException(404)
    return job


async def _asked(request: Request, kind: type[Asked]) -> Asked:
    """The fields of a JSON request; only scripts of this page can send one, as other sites' forms cannot."""
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise HTTPException(415, "expected application/json")
    try:
        return kind.model_validate_json(await _body(request))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise InputError(f"expected {', '.join(kind.model_fields)} as JSON; {where}: {first['msg']}") from error


async def _body(request: Request) -> bytes:
    """The body, read as it comes: no more than `LARGEST_BODY` bytes, for no longer than `SLOWEST`."""
    found = b""
    try:
        async with asyncio.timeout(SLOWEST):
            async for part in request.stream():
                found += part
                if len(found) > LARGEST_BODY:
                    raise HTTPException(413, headers=LEAVE)
    except TimeoutError as error:
        raise HTTPException(408, headers=LEAVE) from error
    except ClientDisconnect as error:
        raise HTTPException(400) from error
    return found


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"unexpected {type(error).__name__}; the server's own output says more"}, status_code=500)


def _page(session: Session) -> Response:
    script = "\n".join([*(_part("report", name) for name in SCRIPTS), _part("apps.live", "explore.js")])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    names = [name for name in METHODS if session.corpus is not None or name != presets.CORPUS]
    text = environment.from_string(_part("apps.live", "explore.html.j2")).render(
        model=session.name,
        template=session.template,
        opening=session.opening,
        sites=[row.site for row in list_sites(session.model)],
        methods={name: METHODS[name] if session.corpus is not None or name != "auto" else METHODS["coordinate"] for name in names},
        longest=LONGEST,
        largest=int(LARGEST),
        json=htmlsafe_json_dumps(_data(session)),
        style=Markup("".join(_part("report", f"page/{name}.css") for name in ("theme", "explained")) + _part("apps.live", "explore.css")),
        script=Markup(script),
    )
    policy = f"default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


def _data(session: Session) -> dict[str, Any]:
    """What the page's script begins with: the opening, and how many units each site has."""
    widths = {row.site: row.units for row in list_sites(session.model)}
    return {"opening": session.opening, "widths": widths, "methods": METHODS, "series": [], "neurons": []}


def _part(room: str, name: str) -> str:
    return (files(f"optigram.{room}") / name).read_text(encoding="utf-8")
