"""Answers `pykubelet explain` over a socket in the kubelet's own folder, which only root may enter."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from aiohttp import web

SOCKET: Final = "pykubelet.sock"

Explain = Callable[[str, str], tuple[str, ...] | None]
"""The sentences about the Pod of that namespace and name; None if there is none on this node."""


@contextlib.asynccontextmanager
async def listening(root: Path, explain: Explain) -> AsyncIterator[None]:
    """Answer while within. Raises OSError."""

    async def answer(request: web.Request) -> web.Response:
        said = explain(request.match_info["namespace"], request.match_info["name"])
        if said is None:
            return web.Response(status=404, text="no such Pod on this node\n")
        return web.Response(text="\n".join(said) + "\n")

    app = web.Application()
    app.add_routes([web.get("/explain/pods/{namespace}/{name}", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    path = _cleared(root)
    before = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(path)).start()
    finally:
        os.umask(before)
    try:
        yield
    finally:
        await runner.cleanup()


def _cleared(root: Path) -> Path:
    """Where the socket is to be; one that a killed agent left is removed."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / SOCKET
    path.unlink(missing_ok=True)
    return path


def ask(root: Path, pod: str) -> tuple[bool, str]:
    """Ask the kubelet that runs on this machine about `namespace/name`; whether it knew, and what it said.

    Raises OSError when none answers there.
    """
    namespace, _, name = pod.rpartition("/")
    connection = HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    with connection.sock:
        connection.sock.settimeout(10)
        connection.sock.connect(str(root / SOCKET))
        connection.request("GET", f"/explain/pods/{namespace or 'default'}/{name}")
        answer = connection.getresponse()
        return answer.status == 200, answer.read().decode()
