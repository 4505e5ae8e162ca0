"""What observing needs from its neighbours in the loop: the app hands it in."""

from typing import Protocol

from pykubelet.model.pod import Pod


class Recorder(Protocol):
    """Tells people what happened (report.events). `container` becomes the event's field path."""

    def event(self, pod: Pod, type_: str, reason: str, message: str, *, container: str = "") -> None: ...
