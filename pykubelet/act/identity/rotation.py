"""Keeps one certificate in its file: gets the first, and the next before it ends, for as long as the agent runs."""

import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final

from nodekit.aio.backoff import Backoff
from nodekit.aio.clock import Clock
from nodekit.kube import errors
from nodekit.kube.client import Client
from nodekit.kube.credentials import AuthError
from pykubelet.act.identity import requests, x509
from pykubelet.act.identity.store import Store
from pykubelet.decide import identity
from pykubelet.decide.identity import Held, Wanted

LOOK: Final = 30.0
"""Seconds between looks at the file, as somebody may put another certificate there by hand."""
_SOON: Final = 1.0
_BACKOFF: Final = Backoff(base=1.0, cap=60.0, jitter=0.1)

log = logging.getLogger(__name__)


class Rotation:
    """`obtain` fills `store` with what is `wanted`; it may raise what `run` catches."""

    def __init__(self, store: Store, wanted: Wanted, obtain: Callable[[], Awaitable[None]], *, clock: Clock) -> None:
        self._store = store
        self._wanted = wanted
        self._obtain = obtain
        self._clock = clock
        self._due: tuple[Held, float] | None = None
        self.failed: Callable[[], None] = lambda: None
        """Called when none could be obtained."""
        self.replaced: Callable[[float], None] = lambda lived: None
        """Called with the seconds that the certificate before has lived."""

    async def run(self) -> None:
        """Keep it until cancelled."""
        failures = 0
        while True:
            try:
                pause = await self.step()
                failures = 0
            except (requests.NotIssued, x509.CertificateError, AuthError, errors.ApiError, OSError) as error:
                failures += 1
                self.failed()
                pause = _BACKOFF.delay(failures, random=random.random)
                log.error("no new certificate in %s, tried again in %.0fs: %s", self._store.current, pause, error)
            await self._clock.sleep(pause)

    async def step(self) -> float:
        """Obtain one if it is due; the seconds until the next look. Raises what `run` catches."""
        left = await self._left()
        if left > 0:
            return min(left, LOOK)
        before = self._due[0] if self._due is not None else None
        await self._obtain()
        if before is not None:
            self.replaced(self._now() - before.not_before)
        return min(max(await self._left(), _SOON), LOOK)

    def expires_in(self) -> float:
        """Whole seconds until the certificate ends, below 0 if it has; infinite while there is none."""
        return math.trunc(self._due[0].not_after - self._now()) if self._due is not None else math.inf

    async def _left(self) -> float:
        """Seconds until another one is due; 0 or less if it is now."""
        held, now = await self._store.held(), self._now()
        if held is None or identity.trouble(held, now=now) or not identity.fits(held, self._wanted):
            return 0.0
        if self._due is None or self._due[0] != held:
            self._due = held, identity.rotate_at(held, random=random.random())
            log.info("the certificate in %s is renewed in %.0fs", self._store.current, self._due[1] - now)
        return self._due[1] - now

    def _now(self) -> float:
        return self._clock.now().timestamp()


async def ask(client: Client, store: Store, wanted: Wanted, *, clock: Clock) -> None:
    """Ask for a certificate with a new key and keep both. Raises what `Rotation.run` catches."""
    made = await x509.make(wanted)
    certificate = await requests.issued(client, wanted, made.pkcs10, clock=clock)
    path = store.save(certificate, made.key, now=clock.now())
    log.info("a new certificate of %s is in %s", wanted.signer, path)
