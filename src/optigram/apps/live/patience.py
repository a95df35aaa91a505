"""The server of the live page is patient, but not for ever: no client may keep a connection, and nothing that runs its end."""

import asyncio
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from optigram.apps.live.server import application
from optigram.apps.live.session import Session

PATIENCE = 10.0  # seconds until the head of a request must have come
MOST = 200  # connections at a time; each takes a descriptor
LAST = 3  # seconds that open connections have when the server ends


def server(session: Session, hosts: list[str]) -> uvicorn.Server:
    """A server of the page for requests to `hosts`, which runs by `run(sockets=[...])`."""
    app = application(session, hosts)
    config = uvicorn.Config(app, http=_Protocol, ws="none", log_level="warning", timeout_graceful_shutdown=LAST)
    return _Server(config, session)


class _Server(uvicorn.Server):
    """A server that tells the session at once when it is to end."""

    def __init__(self, config: uvicorn.Config, session: Session) -> None:
        super().__init__(config)
        self._session = session

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, and let what runs for the page end."""
        self._session.closed = True
        super().handle_exit(sig, frame)


class _Protocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it. A connection without a request is closed after a while, and so are those that are too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as the base
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        if len(self.connections) > MOST:
            transport.close()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what has come; wait no longer once it makes the head of a request."""
        super().data_received(data)
        if not self._idle:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self._idle:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._waiting = self.loop.call_later(PATIENCE, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
