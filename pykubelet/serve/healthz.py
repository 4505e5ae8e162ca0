"""/healthz: whether the agent's loops turn, as one word or check by check."""

from collections.abc import Callable, Mapping

from aiohttp import web

HEADERS = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


class Health:
    """The endpoints. A check answers with what is wrong, or None; it is asked at each request and must be cheap."""

    def __init__(self, checks: Mapping[str, Callable[[], str | None]]) -> None:
        self._checks = {"ping": lambda: None, "log": lambda: None, **checks}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self.all), web.get("/healthz/{check}", self.one)]

    async def all(self, request: web.Request) -> web.Response:
        excluded = set(request.query.getall("exclude", []))
        lines, failed = [], False
        for name, check in self._checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif wrong := check():
                failed = True
                lines.append(f"[-]{name} failed: {wrong}")
            else:
                lines.append(f"[+]{name} ok")
        if failed:
            return web.Response(status=500, text="\n".join([*lines, "healthz check failed", ""]), headers=HEADERS)
        if "verbose" in request.query:
            return web.Response(text="\n".join([*lines, "healthz check passed", ""]), headers=HEADERS)
        return web.Response(text="ok", headers=HEADERS)

    async def one(self, request: web.Request) -> web.Response:
        check = self._checks.get(request.match_info["check"])
        if check is None:
            return web.Response(status=404, text="404 page not found\n", headers=HEADERS)
        wrong = check()
        if wrong:
            return web.Response(status=500, text=f"internal server error: {wrong}\n", headers=HEADERS)
        return web.Response(text="ok", headers=HEADERS)
