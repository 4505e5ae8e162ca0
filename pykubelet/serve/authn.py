"""Who asks: by a client certificate the connection was made with, by a bearer token, or nobody in particular."""

import base64
import binascii
import datetime as dt
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from nodekit.aio.clock import Clock
from pykubelet.serve import ttl_cache
from pykubelet.serve.identity import ANONYMOUS, UNAUTHENTICATED, Distrusted, Identity

if TYPE_CHECKING:
    from pykubelet.serve import client_certificates

IN_PROTOCOL: Final = "base64url.bearer.authorization.k8s.io."
"""Before a token among a WebSocket's subprotocols: a browser cannot send an Authorization header."""


class TokenReviews(Protocol):
    async def who(self, token: str) -> Identity | None:
        """Whose bearer token this is, None if nobody's. Raises if the API server cannot say."""
        ...


class Certificates(Protocol):
    def who(self, request: web.BaseRequest) -> Identity | None:
        """Whose certificate the connection was made with, None if with none. Raises Distrusted."""
        ...


class ClientCertificates:
    """Certificates of the CAs in this file; an empty name is none."""

    def __init__(self, authority: str) -> None:
        self._path = authority
        self._authority: client_certificates.Authority | None = None

    def who(self, request: web.BaseRequest) -> Identity | None:
        """Judged anew at each request. Raises Distrusted."""
        transport = request.transport
        connection = transport.get_extra_info("ssl_object") if transport else None
        if not self._path or connection is None or not connection.chain:
            return None
        if self._authority is None:
            from pykubelet.serve import client_certificates

            self._authority = client_certificates.Authority(Path(self._path))
        return self._authority.who(connection.chain, now=dt.datetime.now(dt.UTC))


def bearer(request: web.BaseRequest) -> str:
    """The token of the Authorization header, else of the WebSocket's subprotocols; empty if there is none.

    Raises Distrusted if what should be a token is none.
    """
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and (token := rest.split(" ", 1)[0]):
        return token
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return ""
    offered = [one.strip() for line in request.headers.getall("Sec-WebSocket-Protocol", []) for one in line.split(",")]
    given = [one.removeprefix(IN_PROTOCOL) for one in offered if one.startswith(IN_PROTOCOL)]
    if not given:
        return ""
    try:
        return base64.b64decode(given[0] + "=" * (-len(given[0]) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Distrusted("the token among the subprotocols is not base64url") from error


class Authenticator:
    """Tries certificate, then token; whoever shows neither is anonymous. One that is shown and bad is not."""

    def __init__(
        self,
        *,
        certificates: Certificates,
        tokens: TokenReviews | None,
        anonymous: bool,
        clock: Clock,
        token_ttl: float = 120.0,
    ) -> None:
        self._certificates = certificates
        self._tokens = tokens
        self._anonymous = anonymous
        self._known: ttl_cache.TtlCache[Identity | None] = ttl_cache.TtlCache(clock)
        self._token_ttl = token_ttl

    async def identify(self, request: web.BaseRequest) -> Identity:
        """Raises Distrusted, or what TokenReviews raises: a 401, with the reason in the log."""
        distrust: Distrusted | None = None
        try:
            if identity := self._certificates.who(request):
                return identity
        except Distrusted as error:
            distrust = error
        if self._tokens and (token := bearer(request)):
            if identity := await self._of_token(self._tokens, token):
                return identity
            distrust = distrust or Distrusted("the token is nobody's")
        if distrust is None and self._anonymous:
            return Identity(name=ANONYMOUS, groups=(UNAUTHENTICATED,))
        raise distrust or Distrusted("neither a certificate nor a token was shown")

    async def _of_token(self, tokens: TokenReviews, token: str) -> Identity | None:
        key = hashlib.sha256(token.encode()).hexdigest()  # the cache must not hold tokens
        if known := self._known.get(key):
            return known.value
        identity = await tokens.who(token)
        self._known.put(key, identity, ttl=self._token_ttl)
        return identity
