"""What counts as a difference between the ruleset and the kernel."""

import pytest

from pyproxy.decide import differences
from pyproxy.model import keys
from pyproxy.model.address import Family
from pyproxy.model.ports import Protocol
from pyproxy.model.ruleset import Set

FRONTEND = keys.service(bytes([198, 18, 64, 1]), Protocol.TCP, 80)
A, B, C = (keys.endpoint(bytes([198, 19, 1, last]), 8080) for last in (1, 2, 3))


def _slots(*backends: bytes) -> dict[bytes, bytes]:
    return {keys.slot(FRONTEND, number): backend for number, backend in enumerate(backends)}


@pytest.mark.parametrize(
    ("wanted", "held", "lines"),
    [
        pytest.param((A, B), (A, B), 0, id="the same slots"),
        pytest.param((A, B), (B, A), 0, id="the same endpoints in other slots: as they came"),
        pytest.param((A, B), (A, C), 2, id="another endpoint"),
        pytest.param((A, B), (A, A), 2, id="one of them twice"),
        pytest.param((A, B), (A,), 1, id="one is missing"),
        pytest.param((A,), (A, B), 1, id="one too many"),
        pytest.param((A, *[B] * 250), (*[B] * 250, A), 4, id="of a Maglev table the order counts"),
    ],
)
def test_endpoints(wanted: tuple[bytes, ...], held: tuple[bytes, ...], lines: int) -> None:
    found = list(differences.of(Set.ENDPOINTS, _slots(*wanted), _slots(*held), Family.IPV4))
    assert len(found) == lines
