"""Puts a signing request before the control plane and waits for the certificate."""

import logging
from typing import Final

from nodekit.aio.clock import Clock
from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.objects.meta import Key
from pykubelet.decide import identity
from pykubelet.decide.identity import Refused, Wanted
from pykubelet.model.signing import SIGNING_REQUESTS, SigningRequest

PATIENCE: Final = 900.0
"""Seconds for which one request is waited for; then another is made."""
_FIRST: Final = 0.1
_LONGEST: Final = 5.0
_TELL: Final = 30.0

log = logging.getLogger(__name__)


class NotIssued(Exception):
    """There is no certificate. `final`: this request will never bring one."""

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


async def issued(client: Client, wanted: Wanted, pkcs10: bytes, *, name: str = "", clock: Clock) -> bytes:
    """The certificate in PEM. With a name, a request that is there already is waited for.

    Raises NotIssued, and errors.ApiError where asking again with the same identity makes no sense.
    """
    found = await _created(client, identity.request(wanted, pkcs10, name=name))
    name = found.metadata.name
    began = clock.monotonic()
    pause, told = _FIRST, began
    while True:
        answer = identity.answer(found)
        if isinstance(answer, Refused):
            raise NotIssued(f"signing request {name} for {wanted.signer} was {answer}", final=True)
        if answer is not None:
            return answer
        now = clock.monotonic()
        if now - began > PATIENCE:
            raise NotIssued(f"nobody signed {name} for {wanted.signer} within {PATIENCE:g}s", final=False)
        if now - told > _TELL:
            told = now
            log.warning("signing request %s is not approved yet: kubectl certificate approve %s", name, name)
        await clock.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
        try:
            found = await client.get(SIGNING_REQUESTS, Key("", name))
        except errors.NotFound as error:
            raise NotIssued(f"signing request {name} for {wanted.signer} was deleted", final=True) from error
        except errors.ApiError as error:
            if not error.transient:
                raise
            log.info("signing request %s is asked for again: %s", name, error)


async def _created(client: Client, request: SigningRequest) -> SigningRequest:
    try:
        return await client.create(SIGNING_REQUESTS, request)
    except errors.AlreadyExists:
        found = await client.get(SIGNING_REQUESTS, request.key)
    if found.spec.request.strip() != request.spec.request.strip():
        raise NotIssued(f"a signing request {request.metadata.name} of somebody else is in the way", final=True)
    return found
