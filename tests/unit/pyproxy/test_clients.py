"""Which remembered clients are let go when their backend leaves."""

from pyproxy.decide import clients
from pyproxy.model import keys
from pyproxy.model.address import Address, Family
from pyproxy.model.ruleset import Set
from pyproxy.model.transaction import Transaction

VIP, NODE, CLIENT = (Address(bytes((10, 0, 0, n))) for n in (1, 2, 3))
GONE, STAYS = (keys.endpoint(Address(bytes((10, 1, 0, n))), 80) for n in (1, 2))


def test_clients_of_the_frontend_and_backend_that_parted_are_let_go() -> None:
    service, node_port = keys.service(VIP, 6, 80), keys.service(NODE, 6, 30080)
    change = Transaction(
        Family.IPV4,
        removed={
            Set.AFFINITY_ENDPOINTS: (service + GONE,),
            Set.NODE_PORT_AFFINITY_ENDPOINTS: (keys.node_port(6, 30080) + GONE,),
        },
    )
    other = keys.service(VIP, 6, 81)
    remembered = {
        service + CLIENT: GONE,
        node_port + CLIENT: GONE,
        service + NODE: STAYS,
        other + CLIENT: GONE,
    }
    assert set(clients.left(change, remembered)) == {service + CLIENT, node_port + CLIENT}


def test_other_changes_need_no_look() -> None:
    assert not clients.are_left(Transaction(Family.IPV4, removed={Set.ENDPOINTS: (b"",)}))
