"""GET /configz: the configuration in effect."""

import msgspec
from aiohttp import web

from pykubelet.serve import lookup


class Configz:
    """The endpoint."""

    def __init__(self, settings: lookup.Settings) -> None:
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/configz", self.get, allow_head=False)]

    async def get(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode({"kubeletconfig": self._settings.as_json()})
        return web.Response(body=body, content_type="application/json")
