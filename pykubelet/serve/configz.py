"""GET /configz: the configuration in effect."""

import msgspec
from aiohttp import web

from nodekit import config
from pykubelet.config.settings import Settings


class Configz:
    """The endpoint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/configz", self.get)]

    async def get(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode({"kubeletconfig": config.render(self._settings)})
        return web.Response(body=body, content_type="application/json")
