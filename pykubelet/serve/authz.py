"""What a user may ask of this node: requests as attributes of the node's subresources, and who decides.

Source: GetRequestAttributes in kubernetes pkg/kubelet/server/auth.go, fine-grained (KEP-2862).
"""

import dataclasses
from typing import Protocol

from nodekit.aio.clock import Clock
from pykubelet.serve import ttl_cache
from pykubelet.serve.identity import Identity

VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
FINE = (("/pods", "pods"), ("/runningpods", "pods"), ("/healthz", "healthz"), ("/configz", "configz"))
"""These are asked for first; nodes/proxy allows them too."""
OWN = (
    ("/stats", "stats"),
    ("/metrics", "metrics"),
    ("/logs", "log"),
    ("/checkpoint", "checkpoint"),
    ("/statusz", "statusz"),
    ("/flagz", "configz"),
)
"""These have a subresource of their own, and nodes/proxy does not allow them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attributes:
    """One question to an authorizer: this verb on this subresource of the node."""

    verb: str
    subresource: str


def below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def attributes(method: str, path: str) -> tuple[Attributes, ...]:
    """The questions a request raises; one yes is enough. An unknown method has an empty verb."""
    verb = VERBS.get(method, "")
    found = [subresource for top, subresource in FINE if below(path, top)]
    own = [subresource for top, subresource in OWN if below(path, top)]
    return tuple(Attributes(verb, subresource) for subresource in [*found, *(own or ["proxy"])])


class Undecided(Exception):
    """Nobody could say whether it is allowed: the API server did not answer."""


class Authorizer(Protocol):
    async def allows(self, user: Identity, wanted: Attributes) -> bool:
        """Raises Undecided."""
        ...


class AlwaysAllow:
    """authorization.mode AlwaysAllow."""

    async def allows(self, user: Identity, wanted: Attributes) -> bool:
        return True


class Cached:
    """authorization.mode Webhook: asks another authorizer and remembers its answers (KubeletConfiguration's TTLs)."""

    def __init__(
        self, inner: Authorizer, *, clock: Clock, allowed_ttl: float = 300.0, denied_ttl: float = 30.0
    ) -> None:
        self._inner = inner
        self._known: ttl_cache.TtlCache[bool] = ttl_cache.TtlCache(clock, size=8192)
        self._ttl = {True: allowed_ttl, False: denied_ttl}

    async def allows(self, user: Identity, wanted: Attributes) -> bool:
        key = (user.key, wanted)
        if known := self._known.get(key):
            return known.value
        answer = await self._inner.allows(user, wanted)
        self._known.put(key, answer, ttl=self._ttl[answer])
        return answer
