"""A node that serves and does nothing else: Pods as the API server has them, containers as the runtime has them.

Run inside a node's network namespace by test_serve.py: `python serve_node.py SETTINGS.json`.
"""

import asyncio
import contextlib
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodekit.aio.clock import SystemClock
from nodekit.kube import auth
from nodekit.kube.client import Client, Selection
from nodekit.kube.transport import Transport
from nodekit.objects.resource import Resource
from pykubelet.cri import channel
from pykubelet.cri.runtime import Runtime
from pykubelet.model.pod import Pod
from pykubelet.serve import authn, authz, certificates, server
from pykubelet.serve.configz import Configz
from pykubelet.serve.exec import Commands
from pykubelet.serve.healthz import Health
from pykubelet.serve.logs import Logs
from pykubelet.serve.metrics import Metrics
from pykubelet.serve.pods import PodLists
from pykubelet.serve.reviews import ApiReviews
from pykubelet.serve.system_logs import SystemLogs

PODS = Resource(Pod, "v1", "Pod", "pods")


class Settings:
    def as_json(self) -> Mapping[str, Any]:
        return {"cgroupDriver": "cgroupfs"}


class PolledPods:
    """The Pods of the node, read from the API server a few times a second."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], Pod] = {}

    def by_name(self, namespace: str, name: str) -> Pod | None:
        return self._pods.get((namespace, name))

    def all(self) -> Sequence[Pod]:
        return tuple(self._pods.values())

    async def poll(self, client: Client) -> None:
        while True:
            listed = await client.list(PODS, Selection(fields="spec.nodeName=n1"))
            self._pods = {(p.metadata.namespace, p.metadata.name): p for p in listed.items}
            await asyncio.sleep(0.3)


async def main(settings: dict[str, str]) -> None:
    folder = Path(settings["folder"])
    pair = certificates.self_signed(
        folder / "certs", node="n1", addresses=[settings["address"]], now=dt.datetime.now(dt.UTC)
    )
    tls = certificates.server_context(pair, client_ca=Path(settings["ca"]))
    pods, clock = PolledPods(), SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        transport = await stack.enter_async_context(Transport(auth.load(Path(settings["kubeconfig"]))))
        client = Client(transport)
        runtime = Runtime(await stack.enter_async_context(channel.open_channel(settings["cri"])))
        reviews = ApiReviews(client, node="n1")
        health = Health({"syncloop": lambda: None})
        endpoints = [
            Logs(pods, runtime),
            Commands(pods, runtime),
            PodLists(pods, runtime),
            Metrics(),
            Configz(Settings()),
            SystemLogs(folder / "var-log"),
            health,
        ]
        guard = server.Guard(
            authn.Authenticator(tokens=reviews, anonymous=True, clock=clock),
            authz.Cached(reviews, clock=clock, denied_ttl=0.5),
        )
        app = server.application([route for endpoint in endpoints for route in endpoint.routes()], guard=guard)
        await stack.enter_async_context(server.listening(app, "0.0.0.0", 10250, tls=tls))
        plain = server.application(health.routes(), guard=None)
        await stack.enter_async_context(server.listening(plain, "127.0.0.1", 10248, tls=None))
        (folder / "up").touch()
        await pods.poll(client)


asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
