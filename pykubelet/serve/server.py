"""Puts endpoints behind authentication and authorization."""

import logging
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from nodekit.kube import errors as kube_errors
from pykubelet.serve import authn, authz, paths
from pykubelet.serve.identity import Distrusted, Identity
from pykubelet.serve.listening import BODY_LIMIT, Bounds
from pykubelet.serve.traffic import Traffic

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
    routes: Iterable[web.RouteDef], *, guard: Guard | None, bounds: Bounds, traffic: Traffic | None = None
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

    app = web.Application(middlewares=[bounds.middleware, counted, guarded], client_max_size=BODY_LIMIT)
    app.add_routes(routes)
    return app
