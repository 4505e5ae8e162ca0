"""What the client and the watch are tried with: an API server in memory, and a genuine one. Either stops and starts."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from nodekit.kube import auth, fake
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from nodekit.objects import meta
from nodekit.objects.resource import Resource
from tests.contract import apiserver

needs_genuine = [
    pytest.mark.skipif(
        "KUBEBUILDER_ASSETS" not in os.environ, reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]
genuine = pytest.mark.parametrize("api", [pytest.param("genuine", marks=needs_genuine)], indirect=True)


def with_genuine(case: Any) -> Any:
    """For a case that needs no client but its own."""
    for mark in needs_genuine:
        case = mark(case)
    return case


class ConfigMap(meta.ApiObject):
    data: dict[str, str] = {}


CONFIG_MAPS = Resource(ConfigMap, "v1", "ConfigMap", "configmaps")


class Api(Protocol):
    """What a case may do to the server it runs against."""

    client: Client

    async def stop(self) -> None: ...

    async def start(self) -> None: ...


@dataclass
class Genuine:
    client: Client
    server: apiserver.Server

    async def stop(self) -> None:
        self.server.stop("kube-apiserver")

    async def start(self) -> None:
        # A thread made after the process entered the namespace is in it as well.
        await asyncio.to_thread(self.server.start_apiserver)


@dataclass
class InMemory:
    client: Client
    server: fake.FakeApi

    async def stop(self) -> None:
        self.server.go_down()

    async def start(self) -> None:
        # A server that just started knows no history.
        self.server.forget_history()
        self.server.come_up()


@contextlib.asynccontextmanager
async def client_of(path: Path) -> AsyncIterator[Client]:
    async with Transport(auth.load(path)) as transport:
        yield Client(transport)


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"), data=data)
