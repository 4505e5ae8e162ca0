"""The first certificate of a node that does not rotate it."""

import asyncio
from pathlib import Path

import pytest

from nodekit.aio.clock import SystemClock
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from pykubelet.act.identity import bootstrap
from pykubelet.act.identity.client import ClientIdentity

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: weak}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


async def begin(folder: Path) -> None:
    """What an agent does with a bootstrap kubeconfig and nothing else."""
    (folder / "bootstrap.conf").write_text(KUBECONFIG)
    places = bootstrap.Places(folder / "kubelet.conf", folder / "bootstrap.conf", folder / "pki")
    who = ClientIdentity(places, node="n", rotate=False, clock=SystemClock())
    credentials = await who.open()
    async with asyncio.timeout(5):
        await who.run(credentials, Client(Transport(credentials)))


async def test_it_ends_once_there_is_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def done(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(bootstrap, "run", done)
    await begin(tmp_path)


async def test_what_nobody_foresaw_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(bootstrap, "run", broken)
    with pytest.raises(RuntimeError, match="unforeseen"):
        await begin(tmp_path)
