"""Asks programs of the node for credentials to pull images with, and keeps the answers as long as they hold."""

import asyncio
import dataclasses
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from nodekit.aio.clock import Clock
from pykubelet import meters
from pykubelet.config.credential_providers import Provider, TokenAttributes
from pykubelet.decide import image_credentials
from pykubelet.model.ids import Uid
from pykubelet.model.image_access import EVERYBODY, Access, AccountUse, Credential
from pykubelet.model.kinds import ServiceAccount
from pykubelet.model.pod import Pod

TIMEOUT: Final = 60.0
"""Seconds for one run of a program. Source: execPlugin.ExecPlugin."""
_SAID: Final = 300
"""Characters of what a program complained that are logged: nothing that it printed is, as that may be secret."""

log = logging.getLogger(__name__)


class Accounts(Protocol):
    """Service accounts of Pods. What asks for something raises errors whose text says why."""

    async def token(self, pod: Pod, audience: str) -> str: ...

    async def account(self, pod: Pod) -> ServiceAccount: ...

    def forget(self, uid: Uid) -> None: ...


class PluginError(Exception):
    """A program gave no credentials; says which and why."""


class CredentialPlugins:
    """`programs` is their folder. What fails is logged: the image may be had without it."""

    def __init__(self, providers: tuple[Provider, ...], programs: Path, *, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._plugins = tuple(_Plugin(one, programs, accounts=accounts, clock=clock) for one in providers)

    async def get(self, pod: Pod, image: str) -> tuple[Credential, ...]:
        """What they give for an image, best first."""
        found: list[Credential] = []
        for plugin in self._plugins:
            try:
                found += await plugin.get(pod, image)
            except Exception as error:
                log.error("no credentials for %s from %s: %s", image, plugin.name, error)
        return tuple(dict.fromkeys(found))

    def forget(self, uid: Uid) -> None:
        """The Pod is gone."""
        self._accounts.forget(uid)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """What a program is told beside the image; `whose`: what its answer may be kept under."""

    token: str = ""
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    whose: str = ""
    access: Access = EVERYBODY


class _Plugin:
    def __init__(self, provider: Provider, programs: Path, *, accounts: Accounts, clock: Clock) -> None:
        self.name = provider.name
        self._provider = provider
        self._program = programs / provider.name
        self._accounts = accounts
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, image_credentials.Answer]] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[image_credentials.Answer]] = {}

    async def get(self, pod: Pod, image: str) -> tuple[Credential, ...]:
        if not any(image_credentials.matches(pattern, image) for pattern in self._provider.match_images):
            return ()
        asked = _Asked()
        if self._provider.token_attributes is not None:
            account = await self._of_account(pod, self._provider.token_attributes)
            if account is None:
                return ()
            asked = account
        answer = self._cached(image, asked.whose) or await self._ask(image, asked)
        return tuple(Credential(auth, asked.access) for auth in image_credentials.of(answer.auths, image))

    async def _of_account(self, pod: Pod, wanted: TokenAttributes) -> _Asked | None:
        """What is asked in the name of the Pod's account; None if the program is not to be run."""
        name = pod.spec.service_account_name
        if not name:
            return None if wanted.require_service_account else _Asked()
        keys = (*wanted.required_service_account_annotation_keys, *wanted.optional_service_account_annotation_keys)
        meta = (await self._accounts.account(pod)).metadata
        if any(key not in meta.annotations for key in wanted.required_service_account_annotation_keys):
            return None
        chosen = {key: meta.annotations[key] for key in keys if key in meta.annotations}
        token = await self._accounts.token(pod, wanted.service_account_token_audience)
        told = [pod.metadata.namespace, name, meta.uid, *(f"{key}={chosen[key]}" for key in sorted(chosen))]
        if wanted.cache_type == "Token":
            told.append(hashlib.sha256(token.encode()).hexdigest())
        use = AccountUse(meta.uid, pod.metadata.namespace, name)
        return _Asked(token, chosen, "\0".join(told), Access(kubernetes_service_accounts=(use,)))

    def _cached(self, image: str, whose: str) -> image_credentials.Answer | None:
        now = self._clock.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > now}
        for key in (image, image_credentials.registry(image), image_credentials.GLOBAL):
            if (found := self._kept.get((key, whose))) is not None:
                return found[1]
        return None

    async def _ask(self, image: str, asked: _Asked) -> image_credentials.Answer:
        """Run the program, or share a run about the same image."""
        key = (image, asked.whose)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._timed(image, asked), name=self.name)
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        answer = await asyncio.shield(task)
        holds = answer.holds if answer.holds is not None else self._provider.default_cache_duration or 0.0
        if holds > 0:
            self._kept[answer.key, asked.whose] = (self._clock.monotonic() + holds, answer)
        return answer

    async def _timed(self, image: str, asked: _Asked) -> image_credentials.Answer:
        try:
            with meters.credential_plugin.labels(self.name).time():
                return await self._run(image, asked)
        except Exception:
            meters.credential_plugin_errors.labels(self.name).inc()
            raise

    async def _run(self, image: str, asked: _Asked) -> image_credentials.Answer:
        version = self._provider.api_version
        request = image_credentials.request(
            image, api_version=version, token=asked.token, annotations=asked.annotations
        )
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *self._provider.args,
                env={**os.environ, **{one.name: one.value for one in self._provider.env}},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise PluginError(f"{self._program} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(TIMEOUT):
                printed, complaint = await process.communicate(request)
        except TimeoutError as error:
            raise PluginError(f"{self._program} has not ended after {TIMEOUT:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = complaint.decode(errors="replace").strip()[-_SAID:]
            raise PluginError(f"{self._program} exited with {process.returncode}: {said or 'it said nothing'}")
        return image_credentials.read(printed, image, api_version=version)


Credentials = Callable[[Pod, str], Awaitable[tuple[Credential, ...]]]
