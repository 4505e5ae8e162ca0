"""The server as the configuration wants it: which endpoints, behind which guard, on which ports."""

import contextlib
import dataclasses
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from aiohttp import web

from nodekit import metrics as process_metrics
from nodekit.aio.clock import SystemClock
from nodekit.kube.client import Client
from nodekit.serve import healthz
from nodekit.serve.healthz import Health
from nodekit.serve.zpages import Flagz, Statusz
from pykubelet import KUBERNETES_VERSION
from pykubelet.config.settings import Settings
from pykubelet.cri import runtime_api
from pykubelet.serve import authn, authz, certificates, debug, lookup, server, tls
from pykubelet.serve.checkpoint import Checkpoint
from pykubelet.serve.configz import Configz
from pykubelet.serve.exec import Commands
from pykubelet.serve.identity import Identity
from pykubelet.serve.listening import Bounds, listening
from pykubelet.serve.logs import Logs
from pykubelet.serve.metrics import Metrics, Source
from pykubelet.serve.pods import Pods, RunningPods
from pykubelet.serve.reviews import ApiReviews
from pykubelet.serve.system_logs import SystemLogs
from pykubelet.serve.traffic import Traffic

_LISTED = ("/configz", "/debug", "/flagz", "/healthz", "/metrics")
"""What /statusz names, as in the genuine one."""


class Endpoint(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """What is served. `addresses` are the node's, for a self-signed certificate; without a `client` (no API server)
    nobody can be asked, so tokens are nobody's and, unless the mode is AlwaysAllow, nothing is allowed.

    `checks` make up /healthz, `metrics_of` are paths such as `/metrics/resource`, `more` other endpoints (/stats),
    `flags` the command line as /flagz shows it, `checkpoints` the folder for what /checkpoint makes.
    """

    node: str
    addresses: tuple[str, ...]
    cert_dir: Path
    pods: lookup.Pods
    runtime: runtime_api.RuntimeService
    client: Client | None
    metrics: process_metrics.Metrics
    checks: Mapping[str, Callable[[], str | None]] = dataclasses.field(default_factory=dict)
    metrics_of: Mapping[str, Source] = dataclasses.field(default_factory=dict)
    more: Sequence[Endpoint] = ()
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    checkpoints: Path = Path("/var/lib/kubelet/checkpoints")


class Denied:
    """Allows nothing: there is nobody to ask."""

    async def allows(self, user: Identity, wanted: authz.Attributes) -> bool:
        return False


def guard_of(settings: Settings, host: Host) -> server.Guard:
    reviews = None if host.client is None else ApiReviews(host.client, node=host.node)
    clock, who, may = SystemClock(), settings.authentication, settings.authorization
    authorizer: authz.Authorizer = Denied()
    if may.mode == "AlwaysAllow":
        authorizer = authz.AlwaysAllow()
    elif reviews is not None:
        allowed, denied = may.webhook.cache_authorized_ttl, may.webhook.cache_unauthorized_ttl
        authorizer = authz.Cached(reviews, clock=clock, allowed_ttl=allowed, denied_ttl=denied)
    authenticator = authn.Authenticator(
        certificates=authn.ClientCertificates(who.x509.client_ca_file),
        tokens=reviews if who.webhook.enabled else None,
        anonymous=who.anonymous.enabled,
        clock=clock,
        token_ttl=who.webhook.cache_ttl,
    )
    return server.Guard(authenticator, authorizer)


def pair_of(settings: Settings, host: Host) -> certificates.Pair:
    """The serving certificate: the one configured, the one a CSR brought, or a self-signed one."""
    if settings.tls_cert_file:
        return certificates.Pair(Path(settings.tls_cert_file), Path(settings.tls_private_key_file))
    if settings.server_tls_bootstrap and (signed := signed_pair(host)):
        return signed
    now = dt.datetime.now(dt.UTC)
    return certificates.self_signed(host.cert_dir, node=host.node, addresses=host.addresses, now=now)


def signed_pair(host: Host) -> certificates.Pair | None:
    """The certificate that a signing request brought; it may come long after the server began."""
    signed = host.cert_dir / "kubelet-server-current.pem"
    return certificates.Pair(signed, signed) if signed.exists() else None


def open_endpoints(host: Host, health: Health) -> list[Endpoint]:
    """What the read-only port serves too."""
    sources = {**host.metrics_of, healthz.SLIS: health.slis}
    return [health, Pods(host.pods), Metrics(host.metrics, sources=sources), *host.more]


def debug_endpoints(settings: Settings, host: Host, traffic: Traffic) -> list[Endpoint]:
    """What enableDebuggingHandlers stands for."""
    if not settings.enable_debugging_handlers:
        return [server.Disabled()]
    gates = settings.feature_gates
    return [
        Logs(host.pods, host.runtime, split=gates.get("PodLogsQuerySplitStreams", False)),
        Commands(host.pods, host.runtime, traffic if gates.get("ExtendWebSocketsToKubelet", True) else None),
        Checkpoint(host.pods, host.runtime, folder=host.checkpoints),
        RunningPods(host.runtime),
        Configz(settings),
        SystemLogs(enabled=settings.enable_system_log_handler),
        debug.Profiles(enabled=settings.enable_profiling_handler),
        debug.Verbosity(settings.logging, enabled=settings.enable_debug_flags_handler),
        Flagz("kubelet", host.flags),
        Statusz("kubelet", version=KUBERNETES_VERSION, started=dt.datetime.now(dt.UTC), paths=_LISTED),
    ]


def routes(endpoints: Sequence[Endpoint]) -> list[web.RouteDef]:
    return [route for endpoint in endpoints for route in endpoint.routes()]


@contextlib.asynccontextmanager
async def running(settings: Settings, host: Host) -> AsyncIterator[None]:
    """Serve while within. Raises OSError if a port is taken or a certificate cannot be read."""
    health, traffic = Health(host.checks), Traffic(host.metrics)
    async with contextlib.AsyncExitStack() as stack:

        async def listen(
            endpoints: Sequence[Endpoint],
            where: tuple[str, int],
            *,
            guard: server.Guard | None = None,
            secure: ssl.SSLContext | None = None,
        ) -> None:
            bounds = Bounds()
            app = server.application(routes(endpoints), guard=guard, bounds=bounds, traffic=traffic)
            await stack.enter_async_context(listening(app, *where, tls=secure, bounds=bounds))

        if settings.healthz_port:
            await listen([health], (settings.healthz_bind_address, settings.healthz_port))
        if settings.read_only_port:
            await listen(open_endpoints(host, health), (settings.address, settings.read_only_port))
        if settings.enable_server:
            endpoints = open_endpoints(host, health) + debug_endpoints(settings, host, traffic)
            pair = pair_of(settings, host)
            asked = settings.server_tls_bootstrap and not settings.tls_cert_file
            listener = tls.Listener(settings, lambda: (signed_pair(host) if asked else None) or pair)
            where = settings.address, settings.port
            await listen(endpoints, where, guard=guard_of(settings, host), secure=listener.as_context())
        yield
