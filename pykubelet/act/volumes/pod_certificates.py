"""Certificates for Pods: a request per projection, its answer awaited by a watch, and a new one before it ends."""

import asyncio
import dataclasses
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from nodekit.kube import errors, watch
from nodekit.kube.client import Client, Selection
from nodekit.objects.meta import Key, ObjectMeta, OwnerReference
from nodekit.objects.node import NODES
from pykubelet.act import ports
from pykubelet.decide import pod_certificate
from pykubelet.decide.pod_certificate import Issued, Refused
from pykubelet.decide.volume_content import ContentError
from pykubelet.model.certificates import (
    POD_CERTIFICATE_REQUESTS,
    SERVICE_ACCOUNTS,
    PodCertificateRequest,
    PodCertificateRequestSpec,
)
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.volume import PodCertificateProjection

if TYPE_CHECKING:
    from pykubelet.act.volumes import pod_keys

_JITTER = 300.0
_AGAIN = 5.0


class Bundle(NamedTuple):
    """A private key and its certificate chain, both PEM."""

    key: bytes
    chain: bytes

    def __repr__(self) -> str:
        return "Bundle()"


class _Place(NamedTuple):
    """One source of one projected volume."""

    uid: Uid
    volume: str
    source: int


@dataclasses.dataclass(slots=True)
class _Record:
    """What is held for one place. `asked` is the request under way, made at `asked_at`, for `key`."""

    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    key: bytes = b""
    asked: Key | None = None
    asked_at: float = 0.0
    bundle: Bundle | None = None
    issued: Issued | None = None
    refused: Refused | None = None
    try_at: float = 0.0


class PodCertificates:
    """Run it as a task. `wake(uid)` is called when an answer for a Pod has come; `now()` gives epoch seconds."""

    def __init__(
        self,
        client: Client,
        *,
        node: str,
        recorder: ports.Recorder,
        wake: Callable[[Uid], None],
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._node = node
        self._recorder = recorder
        self._now = now
        self._records: dict[_Place, _Record] = {}
        self._wanted = asyncio.Event()
        self._node_uid = ""
        self._requests = watch.whole(
            client, POD_CERTIFICATE_REQUESTS, selection=Selection(fields=f"spec.nodeName={node}")
        )
        self._requests.subscribe(lambda change: wake(Uid(change.new.spec.pod_uid)) if change.new is not None else None)

    async def run(self) -> None:
        """Follow our requests until cancelled, once a Pod wants a certificate."""
        await self._wanted.wait()
        await self._requests.run()

    async def get(self, pod: Pod, wanted: PodCertificateProjection, *, volume: str, index: int) -> Bundle:
        """The bundle for one source of a projected volume; ContentError while there is none, and why."""
        self._wanted.set()
        record = self._records.setdefault(_Place(pod.uid, volume, index), _Record())
        async with record.lock:
            self._read_answer(pod, record)
            if self._is_due(record):
                await self._ask(pod, wanted, record)
        if record.bundle is not None:
            return record.bundle
        raise ContentError(str(record.refused) if record.refused else "credential bundle is not issued yet")

    def renew_at(self, uid: Uid) -> float | None:
        """When the Pod's certificates have to be looked at again (epoch seconds); None if it has none."""
        times = [
            max(record.issued.refresh_at, record.try_at)
            for place, record in self._records.items()
            if place.uid == uid and record.issued is not None and record.asked is None and record.refused is None
        ]
        return min(times, default=None)

    def forget(self, uid: Uid) -> None:
        """The Pod is gone; nothing of its keys is kept."""
        for place in [place for place in self._records if place.uid == uid]:
            del self._records[place]

    def _read_answer(self, pod: Pod, record: _Record) -> None:
        if record.asked is None:
            return
        request = self._requests.store.get(record.asked)
        if request is None:
            # Not seen yet, or deleted before anybody answered: after a while it must be the latter.
            if self._now() > record.asked_at + pod_certificate.LOST_AFTER:
                record.asked = None
            return
        answer = pod_certificate.answer(request, jitter=random.uniform(0, _JITTER))
        if isinstance(answer, Issued):
            record.bundle, record.issued, record.asked = Bundle(record.key, answer.chain), answer, None
        elif isinstance(answer, Refused):
            record.refused, record.asked = answer, None
            how = "was denied" if answer.how == "Denied" else "failed"
            said = f'PodCertificateRequest {request.key} {how}, reason="{answer.reason}", message="{answer.message}"'
            self._recorder.event(pod, "Warning", answer.how, said)

    def _is_due(self, record: _Record) -> bool:
        if record.asked is not None or record.refused is not None or self._now() < record.try_at:
            return False
        return record.issued is None or self._now() >= record.issued.refresh_at

    async def _ask(self, pod: Pod, wanted: PodCertificateProjection, record: _Record) -> None:
        try:
            key = await _make_key(wanted.key_type)
            made = await self._client.create(POD_CERTIFICATE_REQUESTS, await self._request(pod, wanted, key.proof))
        except (errors.ApiError, ValueError) as error:
            record.try_at = self._now() + _AGAIN
            if record.bundle is None:
                raise ContentError(f"while creating initial PodCertificateRequest: {error}") from error
            return
        record.key, record.asked, record.asked_at = key.private, made.key, self._now()

    async def _request(self, pod: Pod, wanted: PodCertificateProjection, proof: bytes) -> PodCertificateRequest:
        meta = pod.metadata
        account = pod.spec.service_account_name or "default"
        account_uid = (await self._client.get(SERVICE_ACCOUNTS, Key(meta.namespace, account))).metadata.uid
        if not self._node_uid:
            self._node_uid = (await self._client.get(NODES, Key("", self._node))).metadata.uid
        return PodCertificateRequest(
            metadata=ObjectMeta(
                namespace=meta.namespace,
                generate_name="req-",
                owner_references=(OwnerReference(api_version="v1", kind="Pod", name=meta.name, uid=meta.uid),),
            ),
            spec=PodCertificateRequestSpec(
                signer_name=wanted.signer_name,
                pod_name=meta.name,
                pod_uid=meta.uid,
                service_account_name=account,
                service_account_uid=account_uid,
                node_name=self._node,
                node_uid=self._node_uid,
                max_expiration_seconds=wanted.max_expiration_seconds,
                stub_pkcs10_request=proof,
                unverified_user_annotations=wanted.user_annotations,
            ),
        )


async def _make_key(key_type: str) -> "pod_keys.PodKey":
    from pykubelet.act.volumes import pod_keys  # the library it needs costs 9 MiB, which most nodes never need

    if key_type.startswith("RSA"):
        # It takes up to a second, which would hold up every other Pod.
        return await asyncio.to_thread(pod_keys.make, key_type)
    return pod_keys.make(key_type)
