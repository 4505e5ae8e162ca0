"""A Pod's certificate: asked for once, awaited, renewed, refused for good."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from nodekit.aio import virtual
from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.objects.meta import Key, ObjectMeta
from nodekit.objects.node import NODES, Node
from pykubelet.act.volumes import pod_keys
from pykubelet.act.volumes.pod_certificates import PodCertificates
from pykubelet.decide import pem
from pykubelet.decide.volume_content import ContentError
from pykubelet.model.certificates import (
    POD_CERTIFICATE_REQUESTS,
    SERVICE_ACCOUNTS,
    PodCertificateRequest,
    PodCertificateRequestStatus,
    RequestCondition,
    ServiceAccount,
)
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.volume import PodCertificateProjection
from tests.unit.pykubelet.decide.pods import pod

BEGIN = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)
WANTED = PodCertificateProjection(signer_name="ex/row", key_type="ED25519", credential_bundle_path="bundle.pem")


class World:
    """An API server, a signer that is told what to answer, and what the kubelet made of it."""

    def __init__(self) -> None:
        self.api = fake.FakeApi()
        self.api.put(NODES, Node(metadata=ObjectMeta(name="n1", uid="n-uid")))
        self.api.put(
            SERVICE_ACCOUNTS, ServiceAccount(metadata=ObjectMeta(name="default", namespace="default", uid="s"))
        )
        self.woken: list[Uid] = []
        self.events: list[str] = []
        loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = lambda: BEGIN.timestamp() + loop.time()
        self.certificates = PodCertificates(
            Client(self.api), node="n1", recorder=self, wake=self.woken.append, now=self.now
        )

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None:
        self.events.append(f"{type_} {reason}: {message}")

    def requests(self) -> list[PodCertificateRequest]:
        found = [path for path in self.api.store.objects if path[0] == POD_CERTIFICATE_REQUESTS.path()]
        return [
            r for path in found if (r := self.api.find(POD_CERTIFICATE_REQUESTS, Key(path[1], path[2]))) is not None
        ]

    async def get(self, made: Pod) -> Any:
        return await self.certificates.get(made, WANTED, volume="certs", index=0)

    async def answer(self, type_: str, *, lives: float = 3600.0) -> None:
        begins = datetime.fromtimestamp(self.now(), UTC)
        status = PodCertificateRequestStatus(
            conditions=(RequestCondition(type=type_, status="True", reason="Because", message="so it is"),),
            certificate_chain=pem.certificates([b"leaf", b"root"]).decode(),
            begin_refresh_at=begins + timedelta(seconds=lives / 2),
            not_after=begins + timedelta(seconds=lives),
        )
        request = self.requests()[-1]
        self.api.put(
            POD_CERTIFICATE_REQUESTS,
            PodCertificateRequest(metadata=request.metadata, spec=request.spec, status=status),
        )
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    made = World()
    task = asyncio.create_task(made.certificates.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_certificate_is_asked_for_once_and_given_when_it_is_issued() -> None:
    async def scenario() -> None:
        async with world() as there:
            for _ in range(2):
                with pytest.raises(ContentError, match="not issued yet"):
                    await there.get(pod())
            (request,) = there.requests()
            assert (request.spec.pod_uid, request.spec.node_uid, request.spec.service_account_uid) == (
                "u1",
                "n-uid",
                "s",
            )
            assert x509.load_der_x509_csr(request.spec.stub_pkcs10_request).is_signature_valid
            await there.answer("Issued")
            assert there.woken
            bundle = await there.get(pod())
            assert pem.blocks(bundle.chain.decode()) == (b"leaf", b"root")
            assert load_pem_private_key(bundle.key, None)
            assert len(there.requests()) == 1

    virtual.run(scenario())


def test_a_certificate_is_renewed_while_the_old_one_still_serves() -> None:
    async def scenario() -> None:
        async with world() as there:
            with contextlib.suppress(ContentError):
                await there.get(pod())
            await there.answer("Issued", lives=3600)
            old = await there.get(pod())
            due = there.certificates.renew_at(pod().uid)
            assert due is not None
            await asyncio.sleep(due - there.now())
            assert await there.get(pod()) == old
            assert len(there.requests()) == 2
            await there.answer("Issued")
            assert (await there.get(pod())).key != old.key

    virtual.run(scenario())


@pytest.mark.parametrize("how", ["Denied", "Failed"])
def test_a_refusal_is_final_and_told(how: str) -> None:
    async def scenario() -> None:
        async with world() as there:
            with contextlib.suppress(ContentError):
                await there.get(pod())
            await there.answer(how)
            for _ in range(2):
                with pytest.raises(ContentError, match=f'permanently {how.lower()}: reason="Because"'):
                    await there.get(pod())
            assert len(there.requests()) == 1
            assert len(there.events) == 1

    virtual.run(scenario())


@pytest.mark.parametrize(
    "key_type",
    [
        pytest.param("RSA3072", id="RSA, the shorter"),
        pytest.param("ECDSAP256", id="P-256"),
        pytest.param("ECDSAP384", id="P-384"),
        pytest.param("ECDSAP521", id="P-521"),
        pytest.param("ED25519", id="Ed25519"),
    ],
)
def test_keys_prove_themselves(key_type: str) -> None:
    key = pod_keys.make(key_type)
    assert x509.load_der_x509_csr(key.proof).is_signature_valid
    assert key.private.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_an_unknown_key_type_is_refused() -> None:
    with pytest.raises(ValueError, match='unknown key type "DSA"'):
        pod_keys.make("DSA")
