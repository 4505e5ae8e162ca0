"""Run iptables-restore and iptables-save of one back end.

The nft back end writes nf_tables through a layer that looks like iptables, the legacy one is ip_tables itself: a kernel
may have either. Both take the same text and print it back alike.
"""

import asyncio
import enum
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pyproxy import errors
from pyproxy.model.address import Family
from pyproxy.model.iptables import Table

_WAIT: Final = ("-w", "30")  # seconds for the lock that all users of the legacy back end share
_STEMS: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_LINE: Final = re.compile(r"line:? (\d+)")
_BANNER: Final = re.compile(r"^\S+ v\S+ \(\w+\): |Try `.*$")


class BackEnd(enum.Enum):
    """The value is the word in the programs' names; what a machine calls just iptables-restore is one of them."""

    USUAL = ""
    NFT = "nft"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Programs:
    """One back end's programs; `entering` are the words of a command to run them by, such as one into a namespace."""

    back_end: BackEnd
    entering: tuple[str, ...] = ()

    def found(self, family: Family) -> bool:
        """Whether the machine has them."""
        return all(shutil.which(self._name(family, verb)) is not None for verb in ("restore", "save"))

    async def check(self, family: Family) -> None:
        """Nothing, if they can write a family's rules on this machine; raises RulesetError."""
        if not self.found(family):
            raise errors.RulesetError(f"no {self._name(family, 'restore')}: install the package iptables")
        await self.restore(family, "*nat\nCOMMIT\n", dry=True)

    async def refusals(self, families: Iterable[Family]) -> dict[Family, str]:
        """Why they can't write a family's rules on this machine, for those of which they can't."""
        refused = {}
        for family in families:
            try:
                await self.check(family)
            except errors.RulesetError as error:
                refused[family] = str(error)
        return refused

    async def restore(self, family: Family, text: str, *, dry: bool = False) -> None:
        """Write what `text` names and leave the rest; each table whole or not at all. Raises RulesetError.

        A `dry` one only finds out whether it could.
        """
        if not text:
            return
        program = self._name(family, "restore")
        code, _, told = await self._run(program, *(("--test",) if dry else ()), "--noflush", *_WAIT, stdin=text)
        if code:
            raise errors.RulesetError(f"{program}: {_reason(told)}{_culprit(text, told)}")

    async def save(self, family: Family, table: Table | None = None) -> str:
        """What is there, in one table or in all; raises RulesetError."""
        program = self._name(family, "save")
        code, listed, told = await self._run(program, *(("-t", table.value) if table is not None else ()))
        if code:
            raise errors.RulesetError(f"{program}: {_reason(told)}")
        return listed

    async def flavour(self, family: Family) -> BackEnd:
        """Which back end a machine's usual programs are."""
        _, told, _ = await self._run(self._name(family, "restore"), "--version")
        specific = BackEnd.NFT if "nf_tables" in told else BackEnd.LEGACY
        return specific if Programs(specific).found(family) else BackEnd.USUAL

    def _name(self, family: Family, verb: str) -> str:
        return "-".join(word for word in (_STEMS[family], self.back_end.value, verb) if word)

    async def _run(self, *command: str, stdin: str = "") -> tuple[int, str, str]:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.entering,
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise errors.RulesetError(f"{command[0]}: {error.strerror}; install the package iptables") from error
        try:
            listed, told = await process.communicate(stdin.encode())
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return process.returncode or 0, listed.decode(errors="replace"), told.decode(errors="replace")


async def choose() -> Programs:
    """The back end this machine uses: that of its iptables-restore, or the one that works; by IPv6 only where no IPv4
    is to be had. Raises RulesetError.
    """
    reasons = []
    for family in Family:
        for back_end in BackEnd:
            programs = Programs(back_end)
            if not programs.found(family):
                continue
            try:
                await programs.check(family)
            except errors.RulesetError as error:
                reasons.append(str(error))
            else:
                return Programs(await programs.flavour(family) if back_end is BackEnd.USUAL else back_end)
    raise errors.RulesetError("; ".join(reasons) or "no iptables-restore: install the package iptables")


def _reason(told: str) -> str:
    return _BANNER.sub("", " ".join(told.split())).strip() or "it failed and says nothing"


def _culprit(text: str, told: str) -> str:
    """The line that the program names, since nobody else has seen the text."""
    found = _LINE.search(told)
    lines = text.splitlines()
    number = int(found.group(1)) if found is not None else 0
    return f" ({lines[number - 1]})" if 0 < number <= len(lines) else ""
