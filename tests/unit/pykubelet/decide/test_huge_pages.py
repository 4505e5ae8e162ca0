"""Which huge pages a volume is made of."""

import pytest

from pykubelet.decide import huge_pages
from pykubelet.decide.environment import ConfigError
from tests.unit.pykubelet.decide.pods import pod

MIB = 1024**2
BOTH = {"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}


@pytest.mark.parametrize(
    ("medium", "requests", "size"),
    [
        pytest.param("HugePages", {"hugepages-2Mi": "4Mi"}, 2 * MIB, id="the only size the Pod asks for"),
        pytest.param("HugePages-1Gi", BOTH, 1024 * MIB, id="the size that is named"),
    ],
)
def test_page_size(medium: str, requests: dict[str, str], size: int) -> None:
    assert huge_pages.of(pod({"resources": {"requests": requests}}), medium) == size


@pytest.mark.parametrize(
    ("medium", "requests", "message"),
    [
        pytest.param("HugePages", BOTH, "multiple huge page sizes", id="two sizes and none is named"),
        pytest.param("HugePages", {}, "no resource request", id="none is asked for"),
        pytest.param("HugePages-1Gi", {"hugepages-2Mi": "4Mi"}, "no resource request", id="another one is"),
    ],
)
def test_what_does_not_fit_is_said(medium: str, requests: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        huge_pages.of(pod({"resources": {"requests": requests}}), medium)
