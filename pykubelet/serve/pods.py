"""GET /pods: the Pods bound to this node. GET /runningpods/: those that the runtime runs something of."""

from aiohttp import web

from nodekit.objects import codec
from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model import observed
from pykubelet.serve import lookup

Json = dict[str, object]


class Pods:
    """The endpoint of the Pods bound here."""

    def __init__(self, pods: lookup.Pods) -> None:
        self._pods = pods

    def routes(self) -> list[web.RouteDef]:
        return [web.get(path, self.get, allow_head=False) for path in ("/pods", "/pods/")]

    async def get(self, _: web.Request) -> web.Response:
        return pod_list([codec.to_builtins(pod) for pod in self._pods.all()])


class RunningPods:
    """The endpoint of what runs."""

    def __init__(self, runtime: runtime_api.RuntimeService) -> None:
        self._runtime = runtime

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/runningpods/", self.get, allow_head=False)]

    async def get(self, _: web.Request) -> web.Response:
        try:
            sandboxes = await self._runtime.list_sandboxes(state=observed.SandboxState.READY)
            containers = await self._runtime.list_containers(state=observed.ContainerState.RUNNING)
        except cri_errors.CriError as error:
            return web.Response(status=500, text=error.said)
        return pod_list([running_pod(s, [c for c in containers if c.sandbox_id == s.id]) for s in sandboxes])


def running_pod(sandbox: observed.Sandbox, containers: list[observed.Container]) -> Json:
    return {
        "metadata": {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid},
        "spec": {"containers": [{"name": c.name, "image": c.image_ref, "resources": {}} for c in containers]},
        "status": {},
    }


def pod_list(items: list[Json]) -> web.Response:
    body = codec.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
    return web.Response(body=body, content_type="application/json")
