"""GET /logs/: the node's own log folder, when enableSystemLogHandler is set."""

import html
from pathlib import Path

from aiohttp import web

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
        root = self._folder.resolve()
        path = (root / request.match_info["path"]).resolve()
        if not path.is_relative_to(root) or not path.exists():
            return web.Response(status=404, text="404 page not found\n")
        if path.is_dir():
            names = sorted(f"{p.name}/" if p.is_dir() else p.name for p in path.iterdir())
            links = "".join(f'<a href="{html.escape(n)}">{html.escape(n)}</a>\n' for n in names)
            return web.Response(text=f"<pre>\n{links}</pre>\n", content_type="text/html")
        if not path.is_file():
            return web.Response(status=403, text="not a regular file\n")
        return web.FileResponse(path, headers={"Content-Type": "text/plain; charset=utf-8"})
