"""Which families the iptables mode serves, by the programs a machine has."""

import logging
from pathlib import Path
from typing import cast

import pytest

from pyproxy import errors, modes
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.model.address import Family

WORKS = "exit 0"
BROKEN = (
    "cat > /dev/null; echo \"ip6tables-restore v1.8.9 (legacy): can't initialize ip6tables table 'nat'\" >&2; exit 3"
)
V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)


def machine(folder: Path, **programs: str) -> None:
    """Programs of the usual names, which are of no known back end."""
    for name, script in programs.items():
        for verb in ("restore", "save"):
            path = folder / f"{name}-{verb}"
            path.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")
            path.chmod(0o755)


@pytest.mark.parametrize(
    ("programs", "wanted", "served", "told"),
    [
        pytest.param({"iptables": WORKS, "ip6tables": WORKS}, BOTH, BOTH, [], id="both work"),
        pytest.param(
            {"iptables": WORKS}, BOTH, (V4,),
            ["IPv6 is not served: no ip6tables-restore: install the package iptables"], id="there is no ip6tables",
        ),
        pytest.param(
            {"iptables": WORKS, "ip6tables": BROKEN}, BOTH, (V4,),
            ["IPv6 is not served: ip6tables-restore: can't initialize ip6tables table 'nat'"],
            id="ip6tables does not work",
        ),
        pytest.param({"iptables": WORKS, "ip6tables": BROKEN}, (V4,), (V4,), [], id="without IPv6 none is missed"),
        pytest.param(
            {"ip6tables": WORKS}, BOTH, (V6,),
            ["IPv4 is not served: no iptables-restore: install the package iptables"], id="ip6tables alone works",
        ),
    ],
)  # fmt: skip
async def test_a_family_whose_iptables_do_not_work_is_left_out_and_told_of(
    programs: dict[str, str],
    wanted: tuple[Family, ...],
    served: tuple[Family, ...],
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    machine(tmp_path, **programs)
    mode = await modes.of_iptables(cast(Kernel, None), wanted)
    assert mode.families == served
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == told


@pytest.mark.parametrize(
    ("programs", "wanted"),
    [
        pytest.param({}, BOTH, id="there are no programs"),
        pytest.param({"iptables": BROKEN, "ip6tables": BROKEN}, BOTH, id="none works"),
        pytest.param({"ip6tables": WORKS}, (V4,), id="a machine without IPv6 has ip6tables alone"),
    ],
)
async def test_without_any_iptables_that_work_there_is_no_such_mode(
    programs: dict[str, str], wanted: tuple[Family, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    machine(tmp_path, **programs)
    with pytest.raises(errors.RulesetError):
        await modes.of_iptables(cast(Kernel, None), wanted)
