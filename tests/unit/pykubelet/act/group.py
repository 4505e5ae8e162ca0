"""A volume's group that cannot be set at first."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pykubelet.act.volumes import ownership
from pykubelet.model.pod import Pod


class Group:
    """In place of changing groups: counts the tries, of which all `fails`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tries, self.fails = 0, False
        monkeypatch.setattr(ownership, "apply", self._apply)

    def _apply(self, root: Path, pod: Pod, *, read_only: bool) -> None:
        self.tries += 1
        if self.fails:
            raise PermissionError(1, "Operation not permitted", str(root))

    async def is_given_late(self, fill: Callable[[], Awaitable[object]]) -> None:
        """Each try fails until it can be done; then it is done once."""
        self.fails = True
        for _ in range(2):
            with pytest.raises(PermissionError):
                await fill()
        self.fails = False
        for _ in range(2):
            await fill()
        assert self.tries == 3
