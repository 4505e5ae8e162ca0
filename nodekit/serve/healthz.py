"""/healthz: whether the agent's loops turn, as one word or check by check; /metrics/slis: how often they did."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from nodekit.serve import exposition
from nodekit.serve.exposition import Family

SLIS: Final = "/metrics/slis"
HEADERS = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


class Health:
    """The endpoints. A check answers with what is wrong, or None; it is asked at each request and must be cheap.

    Those of `always` say by their answer alone that the agent is there.
    """

    def __init__(
        self, checks: Mapping[str, Callable[[], str | None]], *, always: Sequence[str] = ("ping", "log")
    ) -> None:
        self._checks = {**dict.fromkeys(always, lambda: None), **checks}
        self._last: dict[str, bool] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """By any method, as in the genuine one."""
        each = [web.route("*", f"/healthz/{name}", self.one) for name in self._checks]
        return [web.route("*", "/healthz", self.all), *each]

    async def all(self, request: web.Request) -> web.Response:
        excluded = set(request.query.getall("exclude", []))
        lines, failed = [], False
        for name in self._checks:
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif wrong := self._ask(name):
                failed = True
                lines.append(f"[-]{name} failed: {wrong}")
            else:
                lines.append(f"[+]{name} ok")
        if unknown := sorted(excluded - self._checks.keys()):
            named = ", ".join(f'"{name}"' for name in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {named}")
        if failed:
            return web.Response(status=500, text="\n".join([*lines, "healthz check failed", ""]), headers=HEADERS)
        if "verbose" in request.query:
            return web.Response(text="\n".join([*lines, "healthz check passed", ""]), headers=HEADERS)
        return web.Response(text="ok", headers=HEADERS)

    async def one(self, request: web.Request) -> web.Response:
        if wrong := self._ask(request.path.removeprefix("/healthz/")):
            return web.Response(status=500, text=f"internal server error: {wrong}\n", headers=HEADERS)
        return web.Response(text="ok", headers=HEADERS)

    async def slis(self) -> bytes:
        """The source of /metrics/slis: the last answer of each check that was asked, and how many of each kind."""
        last = Family(
            "kubernetes_healthcheck", "gauge", "[STABLE] This metric records the result of a single healthcheck."
        )
        for name, good in sorted(self._last.items()):
            last.add(int(good), {"name": name, "type": "healthz"})
        help_ = "[STABLE] This metric records the results of all healthcheck."
        total = Family("kubernetes_healthchecks_total", "counter", help_)
        for (name, status), count in sorted(self._counts.items()):
            total.add(count, {"name": name, "status": status, "type": "healthz"})
        return exposition.text((last, total))

    def _ask(self, name: str) -> str | None:
        wrong = self._checks[name]()
        self._last[name] = wrong is None
        self._counts[name, "success" if wrong is None else "error"] += 1
        return wrong
