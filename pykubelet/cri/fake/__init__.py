"""A whole container runtime in memory, with the same errors: for tests, and for trying an agent without a machine.

`FakeRuntime()` satisfies runtime_api.RuntimeService and ImageService. Time is the event loop's, so under a virtual
loop nothing waits. Script it through `world`: programs, failures, delays, an outage.
"""

from pykubelet.cri.fake.runtime import FakeRuntime as FakeRuntime
from pykubelet.cri.fake.world import Program as Program
from pykubelet.cri.fake.world import World as World
