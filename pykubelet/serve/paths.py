"""Which paths lead anywhere, before anybody is asked who they are. No I/O.

As in the genuine server, a path that no endpoint has is a 404 for everybody, and one that is not clean (`//`, `..`) or
lacks the slash of a folder is sent to where it should have gone. Source: Go's net/http ServeMux.
"""

import dataclasses
import posixpath
from collections.abc import Iterable
from typing import Final

FOLDERS: Final = ("/stats/", "/runningpods/", "/logs/", "/debug/pprof/")
"""Found with their slash alone; every other endpoint also without."""


@dataclasses.dataclass(frozen=True, slots=True)
class Paths:
    """The exact ones, and those that everything below leads to the same endpoint; each of these ends with a slash."""

    exact: frozenset[str]
    tops: frozenset[str]

    def known(self, path: str) -> bool:
        """Whether an endpoint has it."""
        if path in self.exact or (f"{path}/" in self.tops and f"{path}/" not in FOLDERS):
            return True
        return any(path.startswith(top) for top in self.tops)

    def elsewhere(self, path: str) -> str | None:
        """Where a client is to ask instead; None if here."""
        cleaned = clean(path)
        if cleaned != path:
            return cleaned
        return f"{path}/" if f"{path}/" in FOLDERS and f"{path}/" in self.tops else None


def of(routes: Iterable[str]) -> Paths:
    """From the paths of the routes, with `{name}` for what varies."""
    exact, tops = set(), set()
    for path in routes:
        if folder := next((top for top in FOLDERS if f"{path}/".startswith(top)), None):
            tops.add(folder)
        elif "{" in path or path.endswith("/"):
            tops.add(path.partition("{")[0])
        else:
            exact.add(path)
    return Paths(frozenset(exact), frozenset(tops))


def clean(path: str) -> str:
    """Without empty, `.` and `..` parts; never empty, and a slash at its end stays."""
    made = posixpath.normpath(f"/{path.lstrip('/')}")
    return f"{made}/" if path.endswith("/") and made != "/" else made
