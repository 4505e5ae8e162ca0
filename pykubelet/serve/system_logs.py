"""GET /logs/: the node's own log folder, when enableSystemLogHandler is set."""

import contextlib
import html
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from pykubelet.serve import debug

FOLDER = Path("/var/log")


class SystemLogs:
    """The endpoint. Nothing outside the folder is served, symbolic links out of it included."""

    def __init__(self, folder: Path = FOLDER, *, enabled: bool = True) -> None:
        self._folder = folder
        self._enabled = enabled

    def routes(self) -> list[web.RouteDef]:
        if not self._enabled:
            return [debug.refusing("/logs/{path:.*}", "logs endpoint is disabled.")]
        return [web.get("/logs/{path:.*}", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        """A file, or a folder's entries as links."""
        asked = request.match_info["path"]
        try:
            with opened(self._folder, asked) as (path, mode):
                if stat.S_ISREG(mode):
                    return _Held(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                if not stat.S_ISDIR(mode):
                    return web.Response(status=403, text="not a regular file\n")
                if asked and not asked.endswith("/"):
                    return web.Response(status=301, headers={"Location": f"{request.path.rpartition('/')[2]}/"})
                return web.Response(text=_links(path), content_type="text/html")
        except (OSError, ValueError):
            return web.Response(status=404, text="404 page not found\n")


class _Held(web.FileResponse):
    """An open file, which is closed once it has been sent."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(f"/proc/self/fd/{descriptor}", headers={"Content-Type": "text/plain; charset=utf-8"})
        self._descriptor = descriptor

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        try:
            return await super().prepare(request)
        finally:
            os.close(self._descriptor)


@contextlib.contextmanager
def opened(folder: Path, asked: str) -> Iterator[tuple[Path, int]]:
    """A path to what is asked for that stays with it while within, and its mode.

    Links are followed while they stay in the folder. What was found is then opened part by part and no link followed,
    as a Pod that mounts the folder may change it meanwhile. Raises OSError if there is nothing, ValueError if outside.
    """
    root = Path(os.path.realpath(folder, strict=True))
    found = Path(os.path.realpath(root / asked.lstrip("/"), strict=True)).relative_to(root)
    held = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in found.parts:
            inner = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = inner
        mode = os.fstat(held).st_mode
        if stat.S_ISLNK(mode):
            raise OSError("it became a link")
        yield Path(f"/proc/self/fd/{held}"), mode
    finally:
        os.close(held)


def _links(folder: Path) -> str:
    with os.scandir(folder) as entries:
        names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries)
    return "<pre>\n" + "".join(f'<a href="{html.escape(n)}">{html.escape(n)}</a>\n' for n in names) + "</pre>\n"
