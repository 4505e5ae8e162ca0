"""A user as Kubernetes knows one."""

import dataclasses
from collections.abc import Mapping
from typing import Final

ANONYMOUS: Final = "system:anonymous"
UNAUTHENTICATED: Final = "system:unauthenticated"
AUTHENTICATED: Final = "system:authenticated"


class Distrusted(Exception):
    """What a client shows to say who it is cannot be believed; says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `extra` is passed on to the authorizer as it is."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two identities the same to an authorizer."""
        return self.name, self.uid, self.groups, tuple(sorted(self.extra.items()))
