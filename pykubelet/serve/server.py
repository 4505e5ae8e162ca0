"""Puts endpoints behind authentication and authorization, and listens: :10250 with TLS, :10248 for health alone."""

import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from nodekit.kube import errors as kube_errors
from pykubelet.serve import authn, authz, paths
from pykubelet.serve.identity import Distrusted, Identity
from pykubelet.serve.traffic import Traffic

SHUTDOWN = 2.0
"""Seconds that open requests are given at the end."""
LINE_LIMIT = 1 << 20
"""Bytes of a request's first line, which has all of a command's words: as many as the genuine kubelet takes in all."""
FIELD_LIMIT = 1 << 16
"""Bytes of one header: a token can be long."""
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
IDENTITY = web.RequestKey("identity", Identity)

log = logging.getLogger(__name__)


class Guard:
    """Lets a request through once it is known whose it is and that it is allowed; else 401, 403 or 500."""

    def __init__(self, authenticator: authn.Authenticator, authorizer: authz.Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def refusal(self, request: web.Request) -> web.Response | None:
        try:
            user = await self._authenticator.identify(request)
        except Distrusted as error:
            log.info("%s %s from %s: %s", request.method, request.path, request.remote, error)
            return web.Response(status=401, text="Unauthorized")
        except kube_errors.ApiError as error:
            log.warning("cannot tell whose request this is: %s", error)
            return web.Response(status=401, text="Unauthorized")
        wanted = authz.attributes(request.method, request.path)
        subresources = " ".join(w.subresource for w in wanted)
        about = f"user={user.name}, verb={wanted[0].verb}, resource=nodes, subresource"
        try:
            for attributes in wanted:
                if await self._authorizer.allows(user, attributes):
                    request[IDENTITY] = user
                    return None
        except authz.Undecided as error:
            log.warning("cannot tell whether %s may: %s", user.name, error)
            return web.Response(status=500, text=f"Authorization error ({about}={subresources})")
        return web.Response(status=403, text=f"Forbidden ({about}(s)=[{subresources}])\n")


class Disabled:
    """The debugging endpoints where enableDebuggingHandlers is off: there, and refused."""

    def routes(self) -> list[web.RouteDef]:
        tops = ("run", "exec", "attach", "portForward", "containerLogs", "runningpods", "debug/pprof", "logs")
        return [web.route("*", f"/{top}/{{rest:.*}}", self.refuse) for top in tops]

    async def refuse(self, _: web.Request) -> web.Response:
        return web.Response(status=405, text="Debug endpoints are disabled.\n")


def application(
    routes: Iterable[web.RouteDef], *, guard: Guard | None, traffic: Traffic | None = None
) -> web.Application:
    """The endpoints, with the genuine kubelet's words where there is none. Without a guard anybody may ask."""
    routes = list(routes)
    known = paths.of(route.path for route in routes)

    @web.middleware
    async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
        if traffic is None:
            return await handler(request)
        with traffic.request(request.method, request.path, guarded=guard is not None):
            return await handler(request)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked, mark, query = request.raw_path.partition("?")
        if (elsewhere := known.elsewhere(asked)) is not None:
            return web.Response(status=307, headers={"Location": f"{elsewhere}{mark}{query}"})
        if not known.known(request.path):
            return web.Response(status=404, text="404 page not found\n", headers=NO_SNIFFING)
        if guard and (refused := await guard.refusal(request)):
            return refused
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text="404: Page Not Found")
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            return web.Response(status=405, text="405: Method Not Allowed", headers={"Allow": allowed})

    app = web.Application(middlewares=[counted, guarded])
    app.add_routes(routes)
    return app


@contextlib.asynccontextmanager
async def listening(app: web.Application, address: str, port: int, *, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Serve while within; the value is the port (of use if 0 was asked for). Raises OSError if it is taken.

    An empty address or `0.0.0.0` is every address, IPv6 too where there is.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN,
        max_line_size=LINE_LIMIT,
        max_field_size=FIELD_LIMIT,
    )
    await runner.setup()
    try:
        host = None if address in ("", "0.0.0.0", "::") else address
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
