"""A node that serves and does nothing else: Pods as the API server has them, containers as the runtime has them.

Run inside a node's network namespace by test_serve.py: `python serve_node.py SETTINGS.json`.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from nodekit.kube import auth
from nodekit.kube.client import Client, Selection
from nodekit.kube.transport import Transport
from nodekit.metrics import Metrics
from nodekit.objects.resource import Resource
from pykubelet.config import parts
from pykubelet.config.settings import Settings
from pykubelet.cri import channel
from pykubelet.cri.runtime import Runtime
from pykubelet.model.pod import Pod
from pykubelet.serve import serving

PODS = Resource(Pod, "v1", "Pod", "pods")


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


async def main(told: dict[str, str]) -> None:
    folder = Path(told["folder"])
    pods = PolledPods()
    settings = Settings(
        authentication=parts.Authentication(
            x509=parts.X509(client_ca_file=told["ca"]), anonymous=parts.Anonymous(enabled=True)
        ),
        feature_gates={"PodLogsQuerySplitStreams": True},
        authorization=parts.Authorization(webhook=parts.WebhookAuthorization(cache_unauthorized_ttl=0.5)),
    )
    async with contextlib.AsyncExitStack() as stack:
        transport = await stack.enter_async_context(Transport(auth.load(Path(told["kubeconfig"]))))
        client = Client(transport)
        host = serving.Host(
            node="n1",
            addresses=(told["address"],),
            cert_dir=folder / "certs",
            pods=pods,
            runtime=Runtime(await stack.enter_async_context(channel.open_channel(told["cri"]))),
            client=client,
            metrics=Metrics(),
            checks={"syncloop": lambda: None},
        )
        await stack.enter_async_context(serving.running(settings, host))
        (folder / "up").touch()
        await pods.poll(client)


asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
