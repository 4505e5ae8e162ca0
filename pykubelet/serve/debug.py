"""/debug/pprof/ and /debug/flags/v: the command line, what each task waits for, and the log's verbosity.

Of Go's profiles there are the two that mean something here: `cmdline`, and `goroutine`, which shows asyncio's tasks.
"""

import asyncio
import io
import sys

import msgspec
from aiohttp import web

from nodekit import logs
from nodekit.config_logging import Logging

PLAIN = {"X-Content-Type-Options": "nosniff"}


def refusing(path: str, words: str) -> web.RouteDef:
    """An endpoint that the configuration switched off."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=405, text=f"{words}\n", headers=PLAIN)

    return web.route("*", path, refuse)


class Profiles:
    """The endpoint, unless enableProfilingHandler is false."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled

    def routes(self) -> list[web.RouteDef]:
        if not self._enabled:
            return [refusing("/debug/pprof/{rest:.*}", "profiling endpoint is disabled.")]
        return [web.get("/debug/pprof/{name:.+}", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.Response:
        match request.match_info["name"]:
            case "cmdline":
                return web.Response(text="\0".join(sys.orig_argv), headers=PLAIN)
            case "goroutine":
                return web.Response(text=tasks(), headers=PLAIN)
        return web.Response(status=404, text="Unknown profile\n", headers=PLAIN)


def tasks() -> str:
    """Where every task of the loop stands, by name."""
    out = io.StringIO()
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        print(f"{task.get_name()}:", file=out)
        task.print_stack(file=out)
        print(file=out)
    return out.getvalue()


class Verbosity:
    """PUT /debug/flags/v with a number as its body, unless enableDebugFlagsHandler is false."""

    def __init__(self, settings: Logging, *, enabled: bool) -> None:
        self._settings = settings
        self._enabled = enabled

    def routes(self) -> list[web.RouteDef]:
        if not self._enabled:
            return [refusing("/debug/flags/v", "flags endpoint is disabled.")]
        return [web.route("*", "/debug/flags/v", self.put)]

    async def put(self, request: web.Request) -> web.Response:
        if request.method != "PUT":
            return web.Response(status=406, text="unsupported http method", headers=PLAIN)
        text = (await request.read()).decode(errors="replace")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
            return web.Response(status=400, text=why, headers=PLAIN)
        logs.setup(msgspec.structs.replace(self._settings, verbosity=int(text)))
        return web.Response(text=f"successfully set klog.logging.verbosity to {text}", headers=PLAIN)
