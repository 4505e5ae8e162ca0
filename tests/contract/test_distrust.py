"""An API server that cannot be trusted or found: what is said of it, and that all goes on once it is put right."""

import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodekit.kube import auth, errors
from nodekit.kube.client import Client
from nodekit.kube.transport import Transport
from tests.contract import apiserver

pytestmark = [
    pytest.mark.skipif(
        not (Path(os.environ.get("KUBEBUILDER_ASSETS", "/nowhere")) / "kube-apiserver").exists(),
        reason="KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[apiserver.Server]:
    """One that serves with serve.crt, and with what is written there later."""
    with apiserver.running() as found:
        found.stop("kube-apiserver")
        found.write_authority("other")
        found.write_serving("serve", address=apiserver.ADDRESS)
        found.start_apiserver(
            f"--tls-cert-file={found.folder}/serve.crt", f"--tls-private-key-file={found.folder}/serve.key"
        )
        yield found


def serves(server: apiserver.Server, **written: object) -> None:
    """Write a certificate and wait until it is served: a server looks when the file changes, and once a minute."""
    server.write_serving("serve", **{"address": apiserver.ADDRESS, **written})  # type: ignore[arg-type]
    wanted = (server.folder / "serve.crt").read_text()
    deadline = time.monotonic() + 70
    while ssl.get_server_certificate((apiserver.ADDRESS, 6443), timeout=5) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        pytest.param(
            {"hours": (24, 48)},
            ["certificate is not yet valid", "the clock here says 20", "set this machine's clock"],
            id="from tomorrow on: our clock is slow",
        ),
        pytest.param(
            {"hours": (-48, -24)},
            ["certificate has expired", "the clock here says 20", "or renew the API server's certificate"],
            id="until yesterday",
        ),
        pytest.param(
            {"ca": "other"}, ["certificate authority in the kubeconfig is not the one"], id="another authority"
        ),
        pytest.param({"address": "198.18.0.77"}, ["give an address that is in the certificate"], id="another address"),
    ],
)
async def test_why_a_server_is_not_trusted_and_that_it_is_again(
    server: apiserver.Server, written: dict[str, object], words: list[str]
) -> None:
    serves(server, **written)
    async with Transport(auth.load(server.kubeconfig("admin", user={"token": "weak-token"}, ca="ca.crt"))) as transport:
        client = Client(transport)
        with pytest.raises(errors.Unreachable) as refused:
            await client.raw("GET", "/readyz")
        for one in (*words, server.url):
            assert one in str(refused.value)
        serves(server)
        assert await client.raw("GET", "/readyz") == b"ok"


@pytest.mark.parametrize(
    ("written", "wrong", "words"),
    [
        pytest.param({"ca": "other"}, {"ca": "ca.crt"}, "certificate authority in the kubeconfig", id="the authority"),
        pytest.param({}, {"servers": "https://198.18.0.1:1"}, "cannot connect", id="the address"),
    ],
)
async def test_what_is_put_right_in_the_kubeconfig_needs_no_restart(
    server: apiserver.Server, written: dict[str, object], wrong: dict[str, str], words: str
) -> None:
    serves(server, **written)
    user = {"token": "weak-token"}
    async with Transport(auth.load(server.kubeconfig("mended", user=user, **wrong))) as transport:
        client = Client(transport)
        with pytest.raises(errors.Unreachable, match=words):
            await client.raw("GET", "/readyz")
        server.kubeconfig("mended", user=user, ca=f"{written.get('ca', 'ca')}.crt")
        assert await client.raw("GET", "/readyz") == b"ok"
