"""Gets the first client certificate with a bootstrap kubeconfig, and writes the kubeconfig that names it.

Source: pkg/kubelet/certificate/bootstrap/bootstrap.go.
"""

import base64
import dataclasses
import logging
from pathlib import Path
from typing import Any

import yaml

from nodekit.aio.clock import Clock
from nodekit.kube import auth
from nodekit.kube.client import Client
from nodekit.kube.credentials import Cluster
from nodekit.kube.transport import Transport
from pykubelet import VERSION
from pykubelet.act.identity import requests, store, x509
from pykubelet.act.identity.store import Store
from pykubelet.act.identity.x509 import Made
from pykubelet.decide import identity

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """The kubeconfig to write, the one to start from (None: there is none) and the folder of certificates."""

    kubeconfig: Path
    bootstrap: Path | None
    folder: Path


async def run(places: Places, kept: Store, *, node: str, clock: Clock) -> None:
    """Fill `kept` and write the kubeconfig. Raises NotIssued, CertificateError, AuthError, ApiError, OSError."""
    assert places.bootstrap is not None
    credentials = auth.load(places.bootstrap)
    pending = places.folder / "kubelet-client.key.tmp"
    wanted = identity.client(node)
    made = await _pending(pending, wanted)
    log.info("asking %s for this node's client certificate", credentials.cluster.servers[0])
    try:
        async with Transport(credentials, user_agent=f"pykubelet/{VERSION}") as transport:
            name = identity.bootstrap_name(made.pkcs10)
            certificate = await requests.issued(Client(transport), wanted, made.pkcs10, name=name, clock=clock)
    except requests.NotIssued as error:
        if error.final:
            pending.unlink(missing_ok=True)  # the next one is asked with another key, under another name
        raise
    path = kept.save(certificate, made.key, now=clock.now())
    pending.unlink(missing_ok=True)
    store.write(places.kubeconfig, kubeconfig(credentials.cluster, kept.current))
    log.info("the client certificate is in %s, and %s names it", path, places.kubeconfig)


async def _pending(path: Path, wanted: identity.Wanted) -> Made:
    """The key and request of an attempt that was cut short, or new ones, on the disk before anybody is asked."""
    found = _left(path, wanted)
    if found is None:
        found = await x509.make(wanted)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        store.write(path, _head(wanted) + found.key + found.pkcs10)
    return found


def _left(path: Path, wanted: identity.Wanted) -> Made | None:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    if not text.startswith(_head(wanted)) or b"CERTIFICATE REQUEST" not in text:
        return None
    return x509.split(text.removeprefix(_head(wanted)))


def _head(wanted: identity.Wanted) -> bytes:
    """Words before the first PEM block, which readers of PEM pass over: whom the request is for."""
    return f"{wanted.common_name}\n".encode()


def kubeconfig(cluster: Cluster, certificate: Path) -> bytes:
    """A kubeconfig file: that cluster, and the certificate and key that `certificate` points at."""
    where: dict[str, Any] = {"server": cluster.servers[0]}
    if len(cluster.servers) > 1:
        where["servers"] = list(cluster.servers[1:])
    if cluster.insecure:
        where["insecure-skip-tls-verify"] = True
    if cluster.server_name:
        where["tls-server-name"] = cluster.server_name
    if cluster.authority.path:
        where["certificate-authority"] = str(cluster.authority.path.absolute())
    elif cluster.authority.data:
        where["certificate-authority-data"] = base64.b64encode(cluster.authority.data).decode()
    pair = str(certificate.absolute())
    context = {"cluster": "default-cluster", "user": "default-auth", "namespace": "default"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "default-cluster", "cluster": where}],
        "users": [{"name": "default-auth", "user": {"client-certificate": pair, "client-key": pair}}],
        "contexts": [{"name": "default-context", "context": context}],
        "current-context": "default-context",
    }
    return yaml.safe_dump(document, sort_keys=False).encode()
