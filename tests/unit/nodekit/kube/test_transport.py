"""A server that says nothing: it is left in time, and no connection to it stays behind."""

import asyncio
import datetime as dt
import re
import ssl
from pathlib import Path

import pytest
import yaml

from nodekit.kube import auth, errors, exec_plugin
from nodekit.kube.request import Request
from nodekit.kube.transport import Transport
from pykubelet.serve import certificates


class Silent:
    """A TLS server that reads nothing once a connection stands: it answers neither a request nor a goodbye."""

    def __init__(self, folder: Path) -> None:
        pair = certificates.self_signed(folder, node="silent", addresses=["127.0.0.1"], now=dt.datetime.now(dt.UTC))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self.connected = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        self._writers.append(writer)
        self.connected.set()


def credentials(folder: Path, *urls: str) -> auth.Credentials:
    path = folder / "kubeconfig"
    cluster = {"server": ",".join(urls), "insecure-skip-tls-verify": True}
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "clusters": [{"name": "it", "cluster": cluster}],
                "users": [{"name": "it", "user": {"token": "t"}}],
            }
        )
    )
    return auth.load(path)


async def test_a_request_given_up_in_the_middle_leaves_no_connection(tmp_path: Path) -> None:
    server = Silent(tmp_path)
    async with server as url, Transport(credentials(tmp_path, url)) as transport:
        asking = asyncio.create_task(transport.ask(Request("GET", "/", "ask"), timeout=60))
        await server.connected.wait()
        made = list(transport.sockets)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert [one.fileno() for one in made] == [-1]


async def test_a_server_that_never_begins_to_stream_is_left_for_the_next(tmp_path: Path) -> None:
    async with (
        Silent(tmp_path) as first,
        Silent(tmp_path) as second,
        Transport(credentials(tmp_path, first, second)) as transport,
    ):
        with pytest.raises(errors.Unreachable, match=f"{re.escape(first)}.* no answer within 0.5s"):
            async with transport.stream(Request("GET", "/", "watch it"), timeout=0.5):
                pass
        assert transport.server == second


class Plain:
    """An HTTP server that answers its first requests with these codes, and all others with 200."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)
        self.tokens: list[str] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.tokens += re.findall(r"Authorization: Bearer (\S+)", head)
        self.asked.set()
        await self.may_answer.wait()
        code = self._codes.pop(0) if self._codes else 200
        writer.write(f"HTTP/1.1 {code} as asked\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()


def by_plugin(folder: Path, url: str, *, takes: float) -> auth.Credentials:
    """Who signs in with a program that needs so many seconds; its n-th token is the letter t n times."""
    program = folder / "sign-in"
    answer = '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "%s"}}'
    program.write_text(f"#!/bin/sh\nsleep {takes}\nprintf t >> {folder}/t\nprintf '{answer}' \"$(cat {folder}/t)\"\n")
    program.chmod(0o700)
    plugin = exec_plugin.Plugin(
        command="./sign-in", folder=folder, api_version="client.authentication.k8s.io/v1", args=(), environment={}
    )
    return auth.Credentials(auth.Cluster((url,)), auth.Identity(), plugin=plugin)


async def test_the_time_a_plugin_takes_is_not_the_servers(tmp_path: Path) -> None:
    server = Plain(401)
    async with server as url, Transport(by_plugin(tmp_path, url, takes=0.4)) as transport:
        # It signs in twice, as its first token is refused.
        assert await transport.ask(Request("GET", "/", "ask"), timeout=0.3) == b"{}"
        async with transport.stream(Request("GET", "/", "watch it"), timeout=0.3) as body:
            assert b"".join([part async for part in body]) == b"{}"
    assert server.tokens == ["t", "tt", "tt"]


async def test_a_server_that_answers_when_it_is_none_any_more_is_not_preferred(tmp_path: Path) -> None:
    slow, only = Plain(), Plain()
    slow.may_answer.clear()
    nobody = "http://127.0.0.1:1"
    async with (
        slow as second,
        only as other,
        Transport(credentials(tmp_path, nobody, second)) as transport,
    ):
        asking = asyncio.create_task(transport.ask(Request("GET", "/", "ask"), timeout=10))
        await slow.asked.wait()
        credentials(tmp_path, other)
        await transport.ask(Request("GET", "/", "ask"), timeout=10)
        slow.may_answer.set()
        assert await asking == b"{}"
        assert transport.server == other
