"""What is remembered of a Pod's containers goes with them."""

from pykubelet.act.pod_memory import PodMemory
from pykubelet.model.actions import StopReason
from pykubelet.model.ids import ContainerId
from tests.unit.pykubelet.decide.pods import pod


def test_only_containers_that_are_there_are_remembered() -> None:
    memory = PodMemory(pod(), pod())
    here, gone = ContainerId("here"), ContainerId("gone")
    memory.refused |= {here, gone}
    memory.pre_stopped |= {here, gone}
    memory.stopped_for |= dict.fromkeys((here, gone), StopReason.ENDING)
    memory.keep_only([here])
    assert (memory.refused, memory.pre_stopped, set(memory.stopped_for)) == ({here}, {here}, {here})
