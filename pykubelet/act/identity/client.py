"""Who this node is to the API server: the credentials in use, got by bootstrap if there are none, and renewed."""

import asyncio
import contextlib
import logging

from nodekit.aio.clock import Clock
from nodekit.kube import auth
from nodekit.kube.auth import AuthError, Credentials, Identity, Source
from nodekit.kube.client import Client
from pykubelet import errors, meters
from pykubelet.act.identity import bootstrap, requests, rotation, x509
from pykubelet.act.identity.bootstrap import Places
from pykubelet.act.identity.rotation import Rotation
from pykubelet.act.identity.store import Store
from pykubelet.decide import identity

log = logging.getLogger(__name__)


class ClientIdentity:
    """`credentials = await it.open()`, then `run` as a task: what the credentials say follows the files it keeps."""

    def __init__(self, places: Places, *, node: str, rotate: bool, clock: Clock) -> None:
        self._places = places
        self._node = node
        self._rotate = rotate
        self._clock = clock
        self._store = Store(places.folder, "kubelet-client")
        self._usable = asyncio.Event()

    @property
    def rotates(self) -> bool:
        """Whether there is a certificate that is renewed; known once it is open."""
        return self._rotate

    async def open(self) -> Credentials:
        """The credentials to begin with; while there are none, those that `run` is going to fill.

        Raises AuthError and StartupError if there is nothing to begin with.
        """
        found, why = self._loaded()
        if found is None:
            if not self._may_bootstrap():
                hint = f"give credentials there, or a bootstrap kubeconfig in {self._places.bootstrap}"
                raise errors.StartupError(f"{why}: {hint}")
            assert self._places.bootstrap is not None
            log.info("%s: a client certificate is asked for with %s", why, self._places.bootstrap)
            cluster = auth.load(self._places.bootstrap).cluster
            return Credentials(cluster, self._of_store(), follows=self._places.kubeconfig)
        if not found.identity.certificate:
            self._rotate = False  # a token or a plugin, which others renew
        if not self._rotate and (not found.identity.certificate or not self._may_bootstrap()):
            self._usable.set()
            return found
        if self._rotate and not await self._trouble(self._of_store()):
            found.identity = self._of_store()
        if why := await self._trouble(found.identity):
            log.error("%s", why)
        else:
            self._usable.set()
        return found

    async def begun(self, *, at_most: float) -> None:
        """Wait for the first certificate if one is asked for, but not for long: static Pods need nobody's approval."""
        if self._may_bootstrap():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(at_most):
                    await self._usable.wait()

    async def run(self, credentials: Credentials, client: Client) -> None:
        """Get a certificate if there is none that holds; with rotation, renew it until cancelled."""

        async def obtain() -> None:
            await self._obtain(credentials, client)

        kept = Rotation(self._store, identity.client(self._node), obtain, clock=self._clock)
        kept.failed = meters.client_renewal_errors.inc
        meters.client_certificate_left.set_function(kept.expires_in)
        if self._rotate:
            await kept.run()
        elif not self._usable.is_set():
            keeping = asyncio.create_task(kept.run(), name="bootstrap")
            usable = asyncio.create_task(self._usable.wait(), name="certificate")
            try:
                await asyncio.wait([keeping, usable], return_when=asyncio.FIRST_COMPLETED)
                if keeping.done():
                    keeping.result()  # it goes on for ever, or raises what nobody foresaw
            finally:
                keeping.cancel()
                usable.cancel()
                await asyncio.wait([keeping, usable])

    async def _obtain(self, credentials: Credentials, client: Client) -> None:
        """By the identity in use while it holds; else by bootstrap; else by what somebody put into the kubeconfig."""
        trouble = await self._trouble(credentials.identity)
        if not trouble:
            self._usable.set()
            if not self._rotate:
                return
            await rotation.ask(client, self._store, identity.client(self._node), clock=self._clock)
        elif self._may_bootstrap():
            await bootstrap.run(self._places, self._store, node=self._node, clock=self._clock)
        else:
            found, why = self._loaded()
            if found is None or (why := await self._trouble(found.identity)):
                raise requests.NotIssued(f"{why}; a bootstrap kubeconfig or a valid certificate mends it", final=True)
            credentials.identity = found.identity
            self._usable.set()
            return
        credentials.identity = self._of_store()
        self._usable.set()

    def _loaded(self) -> tuple[Credentials | None, str]:
        """What the kubeconfig says, or why it says nothing."""
        try:
            return auth.load(self._places.kubeconfig), ""
        except AuthError as error:
            return None, str(error)

    def _may_bootstrap(self) -> bool:
        return self._places.bootstrap is not None and self._places.bootstrap.exists()

    def _of_store(self) -> Identity:
        pair = Source(path=self._store.current)
        return Identity(certificate=pair, key=pair)

    async def _trouble(self, who: Identity) -> str:
        """Why the API server will not take this identity; empty if it may. Tokens are not looked into."""
        if not who.certificate:
            return ""
        name = str(who.certificate.path or self._places.kubeconfig)
        try:
            held = await x509.inspect(who.certificate.read(), name=name)
        except (AuthError, x509.CertificateError) as error:
            return str(error)
        trouble = identity.trouble(held, now=self._clock.now().timestamp())
        return f"the client certificate in {name} {trouble}" if trouble else ""
