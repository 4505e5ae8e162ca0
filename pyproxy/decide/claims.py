"""Keep who owns a frontend: the first ServicePort that asked for it, until it lets go. No I/O."""

from collections.abc import Iterable

from pyproxy.model.ports import PortName


class Claims:
    """Owners of frontends, by key, and those that wait for one to be free."""

    def __init__(self) -> None:
        self._owners: dict[bytes, PortName] = {}
        self._waiting: dict[bytes, list[PortName]] = {}

    def owner(self, key: bytes) -> PortName | None:
        """Whose a frontend is."""
        return self._owners.get(key)

    def withdraw(self, name: PortName, frontends: Iterable[bytes]) -> list[bytes]:
        """A ServicePort wants these no more; those it owned are free now, and are the answer."""
        freed = []
        for key in frontends:
            if self._owners.get(key) == name:
                freed.append(key)
            elif name in self._waiting.get(key, ()):
                self._waiting[key].remove(name)
        for key in freed:
            del self._owners[key]
        return freed

    def claim(self, name: PortName, frontends: Iterable[bytes]) -> None:
        """A ServicePort wants these: the free ones are its own, for the others it waits."""
        for key in frontends:
            owner = self._owners.setdefault(key, name)
            if owner != name:
                self._waiting.setdefault(key, []).append(name)

    def inherit(self, key: bytes) -> PortName | None:
        """Give a free frontend to the first that waits for it; None when nobody does."""
        waiting = self._waiting.pop(key, [])
        if not waiting:
            return None
        heir, *rest = waiting
        if rest:
            self._waiting[key] = rest
        self._owners[key] = heir
        return heir
