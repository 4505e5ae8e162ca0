"""Reads the runtime's event stream into the view; a gap in it asks for a relist."""

from pykubelet.cri import events, runtime_api
from pykubelet.model import observed
from pykubelet.observe.relist import Relist
from pykubelet.observe.runtime_view import RuntimeView


async def run(runtime: runtime_api.ContainerCalls, view: RuntimeView, relist: Relist) -> None:
    """Follow the events until cancelled, or until the runtime turns out to have none."""
    relist.events_work = True
    async for hint in events.follow(runtime):
        match hint:
            case events.Gap():
                # While the stream is broken a gap comes each second, so relists are as frequent as without events.
                relist.ask()
            case observed.RuntimeEvent():
                view.take(hint)
    relist.events_work = False
    relist.ask()
