"""Service-account tokens for Pods: asked for once, kept, and renewed before they expire."""

import datetime as dt
import json
import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.kube.shelf import Shelf
from nodekit.objects.base import Object
from nodekit.objects.meta import Key
from pykubelet.decide.volume_content import ContentError
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod
from pykubelet.model.storage import TokenAudience

MAX_AGE = 24 * 3600.0
RETRY = 30.0
"""Seconds until a token that could not be renewed is asked for again; it goes on being used meanwhile."""
_JITTER = 10.0


class _BoundObject(Object):
    kind: str
    api_version: str
    name: str
    uid: str


class _Spec(Object):
    audiences: tuple[str, ...] = ()
    expiration_seconds: int | None = None
    bound_object_ref: _BoundObject | None = None


class _Status(Object):
    token: str = ""
    expiration_timestamp: dt.datetime | None = None


class TokenRequest(Object):
    api_version: str = ""
    kind: str = ""
    spec: _Spec = _Spec()
    status: _Status = _Status()


class _Wanted(NamedTuple):
    audience: str
    seconds: int


class Token(NamedTuple):
    """A token, and when (epoch seconds) it is to be renewed and ends."""

    text: str
    renew_at: float
    expires: float


class Tokens:
    """`now()` gives epoch seconds. `shelf(uid)` is where a Pod's tokens are kept for a start without API server."""

    def __init__(
        self,
        client: Client,
        *,
        now: Callable[[], float],
        shelf: Callable[[Uid], Shelf[Token] | None] = lambda _: None,
    ) -> None:
        self._client = client
        self._now = now
        self._shelf = shelf
        self._shelves: dict[Uid, Shelf[Token]] = {}
        self._kept: dict[Uid, dict[_Wanted, Token]] = {}

    async def get(self, pod: Pod, *, audience: str, seconds: int) -> str:
        """A token bound to this Pod; ContentError when there is none, an old one while the API server is away."""
        return (await self._have(pod, _Wanted(audience, seconds))).text

    async def for_driver(self, pod: Pod, audiences: Iterable[TokenAudience]) -> str:
        """The tokens a storage driver wants, as the JSON it expects. Raises ContentError."""
        found = {}
        for one in audiences:
            token = await self._have(pod, _Wanted(one.audience, one.expiration_seconds or 3600))
            expires = dt.datetime.fromtimestamp(token.expires, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            found[one.audience] = {"token": token.text, "expirationTimestamp": expires}
        return json.dumps(found)

    def renew_at(self, uid: Uid) -> float | None:
        """When the first token of this Pod is due to be renewed (epoch seconds); None if it has none."""
        return min((token.renew_at for token in self._kept.get(uid, {}).values()), default=None)

    def forget(self, uid: Uid) -> None:
        self._kept.pop(uid, None)
        if (shelf := self._shelves.pop(uid, None)) is not None:
            shelf.remove()

    async def _have(self, pod: Pod, wanted: _Wanted) -> Token:
        kept = self._kept.get(pod.uid, {}).get(wanted)
        if kept is not None and self._now() < kept.renew_at:
            return kept
        try:
            fresh = await self._request(pod, wanted)
        except errors.ApiError as error:
            kept = kept or self._recalled(pod.uid, wanted)
            if kept is None:
                raise ContentError(f"failed to fetch token: {error}") from error
            self._kept.setdefault(pod.uid, {})[wanted] = kept._replace(renew_at=self._now() + RETRY)
            return kept
        self._kept.setdefault(pod.uid, {})[wanted] = fresh
        if (shelf := self._shelf_of(pod.uid)) is not None:
            shelf.keep(lambda: self._of(pod.uid))
        return fresh

    def _recalled(self, uid: Uid, wanted: _Wanted) -> Token | None:
        """What a process before us was given."""
        shelf = self._shelf_of(uid)
        known = shelf.load() if shelf is not None else None
        return known.get(_shelf_key(wanted)) if known else None

    def _of(self, uid: Uid) -> dict[Key, Token]:
        return {_shelf_key(wanted): token for wanted, token in self._kept.get(uid, {}).items()}

    def _shelf_of(self, uid: Uid) -> Shelf[Token] | None:
        if uid not in self._shelves and (made := self._shelf(uid)) is not None:
            self._shelves[uid] = made
        return self._shelves.get(uid)

    async def _request(self, pod: Pod, wanted: _Wanted) -> Token:
        meta = pod.metadata
        account = pod.spec.service_account_name or "default"
        body = TokenRequest(
            api_version="authentication.k8s.io/v1",
            kind="TokenRequest",
            spec=_Spec(
                audiences=(wanted.audience,) if wanted.audience else (),
                expiration_seconds=wanted.seconds,
                bound_object_ref=_BoundObject(kind="Pod", api_version="v1", name=meta.name, uid=meta.uid),
            ),
        )
        path = f"/api/v1/namespaces/{meta.namespace}/serviceaccounts/{account}/token"
        answer = await self._client.post(path, body, TokenRequest)
        expires = answer.status.expiration_timestamp
        granted = answer.spec.expiration_seconds or wanted.seconds
        end = expires.timestamp() if expires else self._now() + granted
        # Renewed after 80 % of its life or a day, as applications that read the file again expect; spread a little.
        jitter = random.uniform(0, _JITTER)
        renew = min(end - 0.2 * granted, end - granted + MAX_AGE) - jitter
        return Token(answer.status.token, renew, end)


def _shelf_key(wanted: _Wanted) -> Key:
    return Key(wanted.audience, str(wanted.seconds))
