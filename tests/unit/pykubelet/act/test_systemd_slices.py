"""What systemd is told of a slice."""

from typing import Any

import pytest

from pykubelet.act import systemd_slices
from pykubelet.decide.cgroups import Values

FULL = Values(cpu_shares=1024, cpu_quota_us=50_500, memory_limit=1 << 20, pids_limit=10)


@pytest.mark.parametrize(
    ("values", "unified", "expected"),
    [
        pytest.param(
            FULL,
            True,
            {"CPUWeight": 100, "CPUQuotaPerSecUSec": 510_000, "MemoryMax": 1 << 20, "TasksMax": 10},
            id="cgroup v2, the quota rounded up to 10 ms a second",
        ),
        pytest.param(
            FULL,
            False,
            {"CPUShares": 1024, "CPUQuotaPerSecUSec": 510_000, "MemoryLimit": 1 << 20, "TasksMax": 10},
            id="cgroup v1",
        ),
        pytest.param(
            Values(cpu_shares=2), True, {"CPUWeight": 1, "CPUQuotaPerSecUSec": (1 << 64) - 1}, id="no quota is infinity"
        ),
        pytest.param(Values(), True, {}, id="nothing to say"),
    ],
)
def test_properties(values: Values, unified: bool, expected: dict[str, Any]) -> None:
    found = systemd_slices._properties(values, unified=unified)
    assert {name: variant.value for name, variant in found} == expected
