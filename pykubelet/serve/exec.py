"""/exec, /attach, /portForward and /run: commands in containers, and streams into Pods."""

from collections.abc import Mapping

from aiohttp import web
from multidict import MultiMapping

from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model import observed, runtime_config
from pykubelet.model.ids import ContainerId, SandboxId
from pykubelet.model.pod import Pod
from pykubelet.serve import lookup, tunnel, websocket
from pykubelet.serve.traffic import Traffic

CONTAINER = "/{namespace}/{pod}/{container}"
CONTAINER_BY_UID = "/{namespace}/{pod}/{uid}/{container}"


class Refused(Exception):
    """The request cannot be done: an HTTP status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def streams(query: Mapping[str, str]) -> runtime_config.Streams:
    """The streams a client joins; a terminal has no stderr of its own. Refused if there are none."""
    tty = query.get("tty") == "1"
    wanted = runtime_config.Streams(
        stdin=query.get("input") == "1",
        stdout=query.get("output") == "1",
        stderr=query.get("error") == "1" and not tty,
        tty=tty,
    )
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
    return wanted


def forwarded(headers: Mapping[str, str], query: MultiMapping[str]) -> tuple[int, ...]:
    """The ports that a plain WebSocket is for; SPDY says them stream by stream. Refused if they are none."""
    if headers.get("Upgrade", "").lower() != "websocket":
        return ()
    words = [word for text in query.getall("port", []) for word in text.split(",")]
    if not words:
        raise Refused(400, 'query parameter "port" is required')
    for word in words:
        if not (word.isascii() and word.isdigit() and 0 < int(word) < 1 << 16):
            raise Refused(400, f'unable to parse "{word}" as a port')
    return tuple(int(word) for word in words)


def status_of(error: cri_errors.CriError) -> int:
    """The HTTP status for a failed call to the runtime."""
    match error:
        case cri_errors.NotFound():
            return 404
        case cri_errors.ResourceExhausted():
            return 429
    return 500


def _full_name(pod: Pod) -> str:
    return f"{pod.metadata.name}_{pod.metadata.namespace}"


class Commands:
    """The endpoints."""

    def __init__(self, pods: lookup.Pods, runtime: runtime_api.RuntimeService, websockets: Traffic | None) -> None:
        """`websockets` counts those that are understood here; None leaves all of them to the runtime."""
        self._pods = pods
        self._runtime = runtime
        self._websockets = websockets

    def routes(self) -> list[web.RouteDef]:
        """GET as well as POST: a WebSocket begins with a GET."""
        found = []
        for path, handler in (("/exec", self.exec), ("/attach", self.attach)):
            for shape in (CONTAINER, CONTAINER_BY_UID):
                found += [web.get(path + shape, handler, allow_head=False), web.post(path + shape, handler)]
        for shape in ("/{namespace}/{pod}", "/{namespace}/{pod}/{uid}"):
            path = "/portForward" + shape
            found += [web.get(path, self.port_forward, allow_head=False), web.post(path, self.port_forward)]
        return [*found, *(web.post("/run" + shape, self.run) for shape in (CONTAINER, CONTAINER_BY_UID))]

    async def exec(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = streams(request.query)
            pod, name = self._pod(request), request.match_info["container"]
            container = await self._container(pod, name)
            if container is None:
                raise Refused(500, f'container not found ("{name}")')
            command = request.query.getall("command", [])
            url = await self._runtime.exec_url(container, command, streams=wanted)
        except Refused as refusal:
            return web.Response(status=refusal.status, text=str(refusal))
        except cri_errors.CriError as error:
            return web.Response(status=status_of(error), text=error.said)
        if self._websockets and websocket.offers(request, websocket.COMMANDS):
            self._websockets.websocket("exec")
            return await websocket.command(request, url, wanted)
        return await tunnel.through(request, url)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = streams(request.query)
            pod, name = self._pod(request), request.match_info["container"]
            container = await self._container(pod, name)
            if container is None:
                raise Refused(500, f"container {name} not found in pod {_full_name(pod)}")
            if request.match_info.get("uid", pod.uid) != pod.uid:
                raise Refused(500, f"pod {_full_name(pod)} not found")
            url = await self._runtime.attach_url(container, streams=wanted)
        except Refused as refusal:
            return web.Response(status=refusal.status, text=str(refusal))
        except cri_errors.CriError as error:
            return web.Response(status=status_of(error), text=error.said)
        if self._websockets and websocket.offers(request, websocket.COMMANDS):
            self._websockets.websocket("attach")
            return await websocket.command(request, url, wanted)
        return await tunnel.through(request, url)

    async def port_forward(self, request: web.Request) -> web.StreamResponse:
        carried = self._websockets if websocket.offers(request, websocket.PORTS) else None
        try:
            ports = () if carried else forwarded(request.headers, request.query)
            pod = self._pod(request)
            if request.match_info.get("uid", pod.uid) != pod.uid:
                raise Refused(404, "pod not found")
            sandbox = await self._sandbox(pod)
            url = await self._runtime.port_forward_url(sandbox, ports=ports)
        except Refused as refusal:
            return web.Response(status=refusal.status, text=str(refusal))
        except cri_errors.CriError as error:
            return web.Response(status=status_of(error), text=error.said)
        if carried:
            carried.websocket("portforward")
            return await websocket.ports(request, url)
        return await tunnel.through(request, url)

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Run `?cmd=` (split at spaces) to its end and answer with its output, first stdout."""
        try:
            name, command = request.match_info["container"], request.query.get("cmd", "").split(" ")
            container = await self._container(self._pod(request), name)
            if container is None:
                raise Refused(500, f'container not found ("{name}")')
            result = await self._runtime.exec_sync(container, command)
        except Refused as refusal:
            return web.Response(status=refusal.status, text=str(refusal))
        except cri_errors.CriError as error:
            return web.Response(status=500, text=error.said)
        if result.exit_code:
            output = (result.stdout + result.stderr).decode(errors="replace")
            return web.Response(
                status=500, text=f"command '{' '.join(command)}' exited with {result.exit_code}: {output}"
            )
        return web.Response(body=result.stdout + result.stderr, content_type="application/json")

    def _pod(self, request: web.Request) -> Pod:
        pod = self._pods.by_name(request.match_info["namespace"], request.match_info["pod"])
        if pod is None:
            raise Refused(404, "pod does not exist")
        return pod

    async def _container(self, pod: Pod, name: str) -> ContainerId | None:
        """The one that runs. A uid in the path is looked at by attach and portForward alone, as in the genuine one."""
        for container in await lookup.containers(self._runtime, pod, name):
            if container.state is observed.ContainerState.RUNNING:
                return container.id
        return None

    async def _sandbox(self, pod: Pod) -> SandboxId:
        labels = {observed.POD_UID_LABEL: pod.uid}
        ready = await self._runtime.list_sandboxes(labels=labels, state=observed.SandboxState.READY)
        if not ready:
            raise Refused(500, f'pod sandbox not found ("{pod.metadata.name}")')
        return ready[0].id
