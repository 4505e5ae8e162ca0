"""/statusz and /flagz: what runs here since when, and with which flags; as text or as an object of config.k8s.io.

Source: KEP-4827, KEP-4828; the forms are those of k8s.io/apiserver pkg/server/statusz and flagz.
"""

import datetime as dt
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

_HEADER: Final = """
{component} {kind}
Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for \
debugging purposes only.
"""
_TYPES: Final = ("application/json", "application/yaml", "text/plain")
_GROUP: Final = "config.k8s.io"
_VERSIONS: Final = ("v1beta1", "v1alpha1")
_DEPRECATED: Final = '299 - "This version of the {kind} endpoint is deprecated. Please use a newer version."'


class Statusz:
    """The endpoint of a component. `paths` are the tops of what is served beside it."""

    def __init__(self, component: str, *, version: str, started: dt.datetime, paths: Sequence[str]) -> None:
        self._component = component
        self._version = version
        self._started = started
        self._paths = paths

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/statusz", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        up = dt.datetime.now(dt.UTC) - self._started
        emulated = self._version.rpartition(".")[0]
        minutes, seconds = divmod(int(up.total_seconds()), 60)
        text = (
            f"{_HEADER.format(component=self._component, kind='statusz')}\n"
            f"Started: {self._started:%a %b} {self._started.day:2d} {self._started:%H:%M:%S UTC %Y}\n"
            f"Up: {minutes // 60} hr {minutes % 60:02d} min {seconds:02d} sec\n"
            f"Python version: {platform.python_version()}\n"
            f"Binary version: {self._version}\n"
            f"Emulation version: {emulated}\n"
            f"Paths: {' '.join(self._paths)}\n"
        )
        found = {
            "startTime": f"{self._started:%Y-%m-%dT%H:%M:%SZ}",
            "uptimeSeconds": int(up.total_seconds()),
            "goVersion": f"python{platform.python_version()}",  # the field is required; there is no Go here
            "binaryVersion": self._version,
            "emulationVersion": emulated,
            "paths": list(self._paths),
        }
        return _answer(request, "Statusz", text, found, self._component)


class Flagz:
    """The endpoint of a component."""

    def __init__(self, component: str, flags: Mapping[str, str]) -> None:
        self._component = component
        self._flags = dict(sorted(flags.items()))

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/flagz", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        lines = "".join(f"{name}={value}\n" for name, value in self._flags.items())
        text = _HEADER.format(component=self._component, kind="flagz") + lines
        return _answer(request, "Flagz", text, {"flags": self._flags}, self._component)


def _answer(request: web.Request, kind: str, text: str, found: Mapping[str, Any], name: str) -> web.Response:
    """In the form asked for: `Accept: application/json;g=config.k8s.io;v=v1beta1;as=Statusz`, or text."""
    accepted = request.headers.get("Accept", "").strip()
    for clause in accepted.split(","):
        type_, *rest = (part.strip() for part in clause.split(";"))
        if type_ in ("", "*/*", "text/*", "text/plain"):
            return web.Response(text=text, headers={"Content-Type": "text/plain; charset=utf-8"})
        asked = dict(part.partition("=")[::2] for part in rest)
        version = asked.get("v", "")
        if type_ not in _TYPES or (asked.get("g"), asked.get("as")) != (_GROUP, kind) or version not in _VERSIONS:
            continue
        body = {"kind": kind, "apiVersion": f"{_GROUP}/{version}", "metadata": {"name": name}, **found}
        headers = {"Content-Type": f"{type_};g={_GROUP};v={version};as={kind}"}
        if version != _VERSIONS[0]:
            headers["Warning"] = _DEPRECATED.format(kind=kind.lower())
        encode = msgspec.json.encode if type_ == "application/json" else msgspec.yaml.encode
        return web.Response(body=encode(body), headers=headers)
    message = f"only the following media types are accepted: {', '.join(_TYPES)}"
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    refusal = msgspec.json.encode({**status, "reason": "NotAcceptable", "code": 406})
    return web.Response(status=406, body=refusal, content_type="application/json")
