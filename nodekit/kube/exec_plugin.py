"""Signs in by a command that prints an ExecCredential (client.authentication.k8s.io), as clouds' kubeconfigs ask."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from nodekit.objects import base, codec

_TIMEOUT: Final = 60.0
_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class PluginError(Exception):
    """The command gave no credentials; says which command and why."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What the command printed: a token, or a client certificate with its key in PEM; and until when it holds."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """The `exec` entry of a kubeconfig's user; a relative path with a slash is looked up from `folder`."""

    command: str
    folder: Path
    api_version: str
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""

    async def sign_in(self) -> Credential:
        """Run the command; raises PluginError."""
        if self.api_version not in _VERSIONS:
            raise PluginError(f"{self.command}: expected apiVersion {' or '.join(_VERSIONS)}, got {self.api_version!r}")
        command = str(self.folder / self.command) if "/" in self.command else self.command
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = {**os.environ, **self.environment, "KUBERNETES_EXEC_INFO": codec.encode(info).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *self.args,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f" ({self.hint.strip()})" if self.hint else ""
            raise PluginError(f"{command}: cannot be run: {error.strerror}{hint}") from error
        printed = await self._finished(process, command)
        return self._read(printed, command)

    async def _finished(self, process: asyncio.subprocess.Process, command: str) -> bytes:
        try:
            async with asyncio.timeout(_TIMEOUT):
                printed, complaint = await process.communicate()
        except TimeoutError as error:
            raise PluginError(f"{command}: no answer within {_TIMEOUT:g}s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            words = complaint.decode(errors="replace").strip()[-500:]
            raise PluginError(f"{command}: exit code {process.returncode}: {words}")
        return printed

    def _read(self, printed: bytes, command: str) -> Credential:
        try:
            found = codec.decode(_ExecCredential, printed)
        except msgspec.DecodeError as error:
            raise PluginError(f"{command}: printed no ExecCredential: {error}") from error
        if found.api_version != self.api_version:
            raise PluginError(f"{command}: printed {found.api_version!r}, asked for {self.api_version!r}")
        status = found.status
        if not status.token and not (status.client_certificate_data and status.client_key_data):
            raise PluginError(f"{command}: printed neither a token nor a certificate with its key")
        return Credential(
            token=status.token,
            certificate=status.client_certificate_data.encode(),
            key=status.client_key_data.encode(),
            expires=status.expiration_timestamp,
        )


class _Status(base.Object):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _ExecCredential(base.Object):
    api_version: str = ""
    kind: str = ""
    status: _Status = _Status()
