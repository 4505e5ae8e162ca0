"""Remove the rules of other modes and of a genuine kube-proxy, in nf_tables and in iptables of either back end."""

import logging
from collections.abc import Callable

from pyproxy import errors
from pyproxy.act.iptables.programs import BackEnd, Programs
from pyproxy.act.iptables.writer import Writer
from pyproxy.act.nftables.kernel import Kernel
from pyproxy.decide.iptables import listing
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family

log = logging.getLogger(__name__)

_GENUINE_TABLE = "kube-proxy"


async def remove(kernel: Kernel, *, but_table: str = "", but_back_end: BackEnd | None = None) -> bool:
    """Remove all but our table `but_table` or our chains in `but_back_end`; whether all that was there is gone."""
    done: list[bool] = []
    back_ends = [BackEnd.LEGACY]
    if kernel.there():  # without nf_tables nothing can be in them
        tables = [name for name in (_GENUINE_TABLE, rs.TABLE) if name != but_table]
        done += [_remove_table(kernel, family, name) for family in Family for name in tables]
        back_ends.append(BackEnd.NFT)
    for back_end in back_ends:
        programs = Programs(back_end)
        owned = listing.genuine if back_end is but_back_end else _anybodys
        done += [await _remove_chains(programs, family, owned) for family in Family if programs.found(family)]
    return all(done)


def _anybodys(chain: str) -> bool:
    return listing.ours(chain) or listing.genuine(chain)


def _remove_table(kernel: Kernel, family: Family, name: str) -> bool:
    try:
        if kernel.delete_table(family, name):
            log.info("table %s %s is removed", family.word, name)
    except errors.RulesetError as error:
        log.warning("table %s %s stays: %s", family.word, name, error)
        return False
    return True


async def _remove_chains(programs: Programs, family: Family, owned: Callable[[str], bool]) -> bool:
    try:
        if await Writer(programs).remove(family, owned):
            log.info("chains of a former proxy are removed from %s iptables, %s", programs.back_end.value, family.word)
    except errors.RulesetError as error:
        log.warning("a former proxy's chains stay: %s", error)
        return False
    return True
