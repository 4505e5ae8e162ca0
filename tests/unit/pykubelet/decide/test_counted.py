"""How things are called where they are counted."""

import pytest

from pykubelet.decide import counted
from pykubelet.model.container import Container, ResourceRequirements
from pykubelet.model.pod import Pod, PodSpec

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "label"),
    [
        pytest.param(0, "N/A", id="not known"),
        pytest.param(1, "0-10MB", id="small"),
        pytest.param(10 * MIB, "0-10MB", id="a bound belongs to what is below"),
        pytest.param(10 * MIB + 1, "10MB-100MB", id="above it"),
        pytest.param(200 * 1024 * MIB, "GT100GB", id="huge"),
    ],
)
def test_sizes_of_images(size: int, label: str) -> None:
    assert counted.image_size(size) == label


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        pytest.param("OutOfcpu", "OutOfcpu", id="known"),
        pytest.param("OutOfexample.com/gpu", "OutOfExtendedResources", id="a resource that somebody made up"),
        pytest.param("NodeAffinity", "Other", id="not on the list"),
    ],
)
def test_reasons_of_rejections(reason: str, label: str) -> None:
    assert counted.rejection(reason) == label


@pytest.mark.parametrize(
    ("priority", "word"),
    [
        (2_000_001_000, "system-critical"),
        (100_000, "high"),
        (1, "medium"),
        (0, "normal"),
        (-1, "low"),
        (-999, "low"),
        (-1000, "very-low"),
    ],
)
def test_priorities_have_words(priority: int, word: str) -> None:
    assert counted.priority(Pod(spec=PodSpec(priority=priority))) == word


ASKS = ResourceRequirements(requests={"cpu": "1"})
ASKING, PLAIN = Container(name="a", resources=ASKS), Container(name="b")


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        pytest.param(PodSpec(containers=(PLAIN,)), "", id="nowhere"),
        pytest.param(PodSpec(containers=(PLAIN, ASKING)), "container_level", id="in a container"),
        pytest.param(PodSpec(containers=(PLAIN,), init_containers=(ASKING,)), "container_level", id="in an init one"),
        pytest.param(PodSpec(containers=(PLAIN,), resources=ASKS), "pod_level", id="as a whole"),
        pytest.param(PodSpec(containers=(ASKING,), resources=ASKS), "pod_and_container_level", id="both"),
        pytest.param(PodSpec(containers=(PLAIN,), resources=ResourceRequirements()), "", id="of nothing"),
    ],
)
def test_where_a_pod_asks_for_resources(spec: PodSpec, word: str) -> None:
    assert counted.configured(Pod(spec=spec)) == word
