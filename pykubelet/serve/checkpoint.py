"""POST /checkpoint/{namespace}/{pod}/{container}: the runtime writes a container's state into an archive."""

import datetime as dt
from pathlib import Path

import msgspec
from aiohttp import web

from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model import observed
from pykubelet.serve import lookup


class Checkpoint:
    """The endpoint. Archives are left in `folder`, for root alone, and never removed by us."""

    def __init__(self, pods: lookup.Pods, runtime: runtime_api.RuntimeService, *, folder: Path) -> None:
        self._pods = pods
        self._runtime = runtime
        self._folder = folder

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/checkpoint/{namespace}/{pod}/{container}", self.post)]

    async def post(self, request: web.Request) -> web.Response:
        """The archive's path; `?timeout=` are seconds, 0 the runtime's own."""
        namespace, pod_name, name = (request.match_info[part] for part in ("namespace", "pod", "container"))
        pod = self._pods.by_name(namespace, pod_name)
        if pod is None:
            return web.Response(status=404, text="pod does not exist")
        if lookup.container_spec(pod, name) is None:
            return web.Response(status=404, text=f"container {name} does not exist")
        try:
            timeout = int((request.query.getall("timeout", None) or ["0"])[-1])
        except ValueError:
            return web.Response(status=404, text="cannot parse value of timeout parameter")
        try:
            running = [
                container
                for container in await lookup.containers(self._runtime, pod, name)
                if container.state is observed.ContainerState.RUNNING
            ]
            if not running:
                return _failed(request, f"container {name} not found")
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            path = self._folder / f"checkpoint-{pod_name}_{namespace}-{name}-{when}.tar"
            await self._runtime.checkpoint_container(running[0].id, location=str(path), timeout=timeout)
        except cri_errors.CriError as error:
            return _failed(request, error.said)
        except OSError as error:
            return _failed(request, str(error))
        return web.Response(body=msgspec.json.encode({"items": [str(path)]}), content_type="application/json")


def _failed(request: web.Request, why: str) -> web.Response:
    about = "/".join(request.match_info[part] for part in ("namespace", "pod", "container"))
    return web.Response(status=500, text=f"checkpointing of {about} failed ({why})")
