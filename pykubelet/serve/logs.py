"""GET /containerLogs/{namespace}/{pod}/{container}: a container's log, as `kubectl logs` asks for it."""

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from aiohttp import web

from pykubelet.cri import errors as cri_errors
from pykubelet.cri import runtime_api
from pykubelet.model import observed, status
from pykubelet.model.pod import Pod
from pykubelet.serve import log_files, log_format, lookup

WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


UNSPLIT = 'unable to return the given log stream: "{}". Please enable PodLogsQuerySplitStreams feature gate in kubelet'


class Undecodable(ValueError):
    """A query that is not PodLogOptions."""


class Invalid(ValueError):
    """PodLogOptions that contradict themselves."""


class NoLogs(Exception):
    """There is no container whose log could be read; the message is for people."""


def options(query: Mapping[str, str], *, now: dt.datetime) -> log_format.Options:
    """Read PodLogOptions from a query. Raises Undecodable or Invalid."""
    try:
        tail_text = query.get("tail") or query.get("tailLines")
        tail = int(tail_text) if tail_text and query.get("tail") != "all" else None
        limit = int(query["limitBytes"]) if "limitBytes" in query else None
        seconds = int(query["sinceSeconds"]) if "sinceSeconds" in query else None
        since = dt.datetime.fromisoformat(query["sinceTime"]) if query.get("sinceTime") else None
        switches = {name: boolean(query.get(name, "")) for name in ("follow", "previous", "timestamps")}
    except ValueError as error:
        raise Undecodable(str(error)) from error
    if tail is not None and tail < 0:
        raise Invalid("tailLines")
    if limit is not None and limit < 1:
        raise Invalid("limitBytes")
    if seconds is not None and (seconds < 1 or since):
        raise Invalid("sinceSeconds")
    try:
        stream = log_format.Stream(query.get("stream") or "All")
    except ValueError as error:
        raise Invalid("stream") from error
    if stream is not log_format.Stream.ALL and tail is not None:
        raise Invalid("tailLines and stream exclude each other")
    if seconds is not None:
        try:
            since = now - dt.timedelta(seconds=seconds)
        except OverflowError:  # from before the year 1 on is everything
            since = None
    return log_format.Options(since=since, tail_lines=tail, limit_bytes=limit, stream=stream, **switches)


def boolean(text: str) -> bool:
    """As the API reads a boolean parameter: anything but an empty, false or 0 value is true."""
    return text.lower() not in ("", "false", "0")


def container_status(pod: Pod, name: str) -> status.ContainerStatus | None:
    reported = pod.status
    every = (
        *reported.container_statuses,
        *reported.init_container_statuses,
        *reported.ephemeral_container_statuses,
    )
    return next((s for s in every if s.name == name), None)


def choose(pod: Pod, name: str, *, started: tuple[observed.Container, ...], previous: bool) -> observed.Container:
    """The container whose log is meant: the newest one, or the one before it. Raises NoLogs with the reason."""
    reported = container_status(pod, name)
    if previous:
        last = reported.last_state.terminated.container_id if reported and reported.last_state.terminated else ""
        ended = last.rpartition("//")[2]
        for container in started:
            if container.id == ended:
                return container
        if len(started) > 1:
            return started[1]
        raise NoLogs(f'previous terminated container "{name}" in pod "{pod.metadata.name}" not found')
    if started:
        return started[0]
    raise NoLogs(f'container "{name}" in pod "{pod.metadata.name}" {unstarted(reported)}')


def unstarted(reported: status.ContainerStatus | None) -> str:
    if reported is None:
        return "is not available"
    if reported.state.terminated:
        return "is terminated"
    if reported.state.waiting is None:
        return "is waiting to start - no logs yet"
    reason = reported.state.waiting.reason
    return f"is waiting to start: {WAITING.get(reason, reason)}"


class Logs:
    """The endpoint."""

    def __init__(self, pods: lookup.Pods, runtime: runtime_api.ContainerCalls, *, split: bool) -> None:
        """`split`: whether one stream can be asked for (the feature gate PodLogsQuerySplitStreams)."""
        self._pods = pods
        self._runtime = runtime
        self._split = split

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/containerLogs/{namespace}/{pod}/{container}", self.get, allow_head=False)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        namespace, pod_name, name = (request.match_info[part] for part in ("namespace", "pod", "container"))
        try:
            wanted = options(request.query, now=dt.datetime.now(dt.UTC))
        except Undecodable:
            return web.Response(status=400, text='{"message": "Unable to decode query."}')
        except Invalid:
            return web.Response(status=422, text='{"message": "Invalid request."}')
        pod = self._pods.by_name(namespace, pod_name)
        if pod is None:
            return web.Response(status=404, text=f'pod "{pod_name}" does not exist')
        if lookup.container_spec(pod, name) is None:
            return web.Response(status=404, text=f'container "{name}" not found in pod "{pod_name}"')
        if not self._split and wanted.stream is not log_format.Stream.ALL:
            return web.Response(status=400, text=UNSPLIT.format(wanted.stream.value))
        try:
            container = await self._container(pod, name, previous=wanted.previous)
            files = await log_files.chosen(Path(container.log_path), wanted.tail_lines, since=wanted.since)
        except NoLogs as error:
            return web.Response(status=400, text=str(error))
        except cri_errors.CriError as error:
            return web.Response(status=400, text=f"unable to retrieve container logs for {name}: {error.said}")
        except OSError as error:
            return web.Response(status=400, text=f"unable to retrieve container logs for {name}: {error}")
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        try:
            await response.prepare(request)
            async with contextlib.aclosing(self._answer(container, files, wanted)) as answer:
                async for data in answer:
                    await response.write(data)
            await response.write_eof()
        finally:
            files.current.close()
        return response

    async def _container(self, pod: Pod, name: str, *, previous: bool) -> observed.Container:
        started = await lookup.containers(self._runtime, pod, name)
        container = choose(pod, name, started=started, previous=previous)
        return await self._runtime.container_status(container.id, sandbox=container.sandbox_id)

    async def _answer(
        self, container: observed.Container, files: log_files.Chosen, wanted: log_format.Options
    ) -> AsyncGenerator[bytes, None]:
        async def runs() -> bool:
            try:
                seen = await self._runtime.container_status(container.id, sandbox=container.sandbox_id)
            except cri_errors.Unavailable:
                return True  # containers outlive their runtime's restart
            except cri_errors.CriError:
                return False
            return seen.state is observed.ContainerState.RUNNING

        renderer = log_format.Renderer(wanted)
        sources = [log_files.stored(files)]
        if wanted.follow:
            sources.append(log_files.growing(Path(container.log_path), files.current, runs=runs))
        for source in sources:
            async with contextlib.aclosing(source) as chunks:
                async for chunk in chunks:
                    if data := renderer.feed(chunk):
                        yield data
                    if renderer.done:
                        return
        if data := renderer.finish():
            yield data
