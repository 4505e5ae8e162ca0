"""A short storm over a node of its own, of a fixed seed; `make chaos` goes on for as long as one likes."""

from devcluster.api import Cluster
from tests.chaos import storms

SEED = 18  # its first two storms have every kind of fault
STORMS = 2


def test_all_is_as_the_api_says_after_storms(lab: Cluster) -> None:
    with storms.ground(lab.name) as (kube, place):
        storms.Storms(kube, place, SEED).run(at_least=STORMS)
