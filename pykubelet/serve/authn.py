"""Who asks: by a client certificate the connection was made with, by a bearer token, or nobody in particular."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from aiohttp import web

from nodekit.aio.clock import Clock
from pykubelet.serve import ttl_cache

ANONYMOUS = "system:anonymous"
UNAUTHENTICATED = "system:unauthenticated"
AUTHENTICATED = "system:authenticated"


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """A user as Kubernetes knows one."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two identities the same to an authorizer."""
        return self.name, self.uid, self.groups, tuple(sorted(self.extra.items()))


class TokenReviews(Protocol):
    async def who(self, token: str) -> Identity | None:
        """Whose bearer token this is, None if nobody's. Raises if the API server cannot say."""
        ...


def of_certificate(peer: Mapping[str, Any] | None) -> Identity | None:
    """The common name is the user, the organizations are the groups. `peer` is ssl's verified peer certificate."""
    if not peer:
        return None
    fields = [pair for part in peer.get("subject", ()) for pair in part]
    names = [value for name, value in fields if name == "commonName"]
    if not names or not names[0]:
        return None
    groups = tuple(value for name, value in fields if name == "organizationName")
    return Identity(name=names[0], groups=(*groups, AUTHENTICATED))


def bearer(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Authenticator:
    """Tries certificate, token, anonymous, in this order. A token that is given and wrong is not anonymous."""

    def __init__(self, *, tokens: TokenReviews | None, anonymous: bool, clock: Clock, token_ttl: float = 120.0) -> None:
        self._tokens = tokens
        self._anonymous = anonymous
        self._known: ttl_cache.TtlCache[Identity | None] = ttl_cache.TtlCache(clock)
        self._token_ttl = token_ttl

    async def identify(self, request: web.BaseRequest) -> Identity | None:
        """None is a 401. Raises what TokenReviews raises: also a 401, with the reason in the log."""
        transport = request.transport
        if identity := of_certificate(transport.get_extra_info("peercert") if transport else None):
            return identity
        token = bearer(request.headers.get("Authorization", ""))
        if token and self._tokens:
            return await self._of_token(self._tokens, token)
        if self._anonymous and not token:
            return Identity(name=ANONYMOUS, groups=(UNAUTHENTICATED,))
        return None

    async def _of_token(self, tokens: TokenReviews, token: str) -> Identity | None:
        key = hashlib.sha256(token.encode()).hexdigest()  # the cache must not hold tokens
        if known := self._known.get(key):
            return known.value
        identity = await tokens.who(token)
        self._known.put(key, identity, ttl=self._token_ttl)
        return identity
