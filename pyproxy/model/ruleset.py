"""The ruleset as values: sets, fields of a packet, the statements of a rule, chains. No I/O.

Everything nf_tables is told is one of these, and three readers give them meaning: `act.nftables` packs them for the
kernel, `decide.nft_text` writes them as nft would, and `decide.trace` walks packets through them.
"""

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

from pyproxy.model.address import Prefix

TABLE: Final = "pyproxy"
HASH_SEED: Final = 0x70796B75  # any number, as long as it is the same on every node


class Field(enum.Enum):
    """A part of a packet or its connection that keys are made of; the value is nft's expression for IPv4."""

    SOURCE = "ip saddr"
    DESTINATION = "ip daddr"
    PROTOCOL = "meta l4proto"
    PORT = "th dport"
    SLOT = "numgen random mod 65536"
    CALLER = "ct original ip saddr"
    FRONTEND = "ct original ip daddr"
    FRONTEND_PORT = "ct original proto-dst"


SERVICE_KEY: Final = (Field.DESTINATION, Field.PROTOCOL, Field.PORT)
NODE_PORT_KEY: Final = (Field.PROTOCOL, Field.PORT)
CLIENT_KEY: Final = (*SERVICE_KEY, Field.SOURCE)
BACKEND: Final = (Field.DESTINATION, Field.PORT)
ORIGINAL_KEY: Final = (Field.FRONTEND, Field.PROTOCOL, Field.FRONTEND_PORT)
ORIGINAL_NODE_PORT_KEY: Final = (Field.PROTOCOL, Field.FRONTEND_PORT)


class Value(enum.Enum):
    """What a map gives for a key."""

    VERDICT = "verdict"
    BACKEND = "backend"


@dataclass(frozen=True, slots=True)
class SetSpec:
    """A named set, or a map when it has a value."""

    name: str
    key: tuple[Field, ...]
    value: Value | None = None
    interval: bool = False
    size: int = 0
    dynamic: bool = False


class Set(enum.Enum):
    """All the sets there are: their number never depends on what the cluster holds."""

    SERVICES = SetSpec("services", SERVICE_KEY, Value.VERDICT)
    NODE_PORTS = SetSpec("nodeports", NODE_PORT_KEY, Value.VERDICT)
    SHORT_CIRCUITS = SetSpec("short-circuits", SERVICE_KEY, Value.VERDICT)
    NODE_PORT_SHORT_CIRCUITS = SetSpec("nodeport-short-circuits", NODE_PORT_KEY, Value.VERDICT)
    ENDPOINTS = SetSpec("endpoints", (*SERVICE_KEY, Field.SLOT), Value.BACKEND)
    NODE_PORT_ENDPOINTS = SetSpec("nodeport-endpoints", (*NODE_PORT_KEY, Field.SLOT), Value.BACKEND)
    SHORT_ENDPOINTS = SetSpec("short-endpoints", (*SERVICE_KEY, Field.SLOT), Value.BACKEND)
    NODE_PORT_SHORT_ENDPOINTS = SetSpec("nodeport-short-endpoints", (*NODE_PORT_KEY, Field.SLOT), Value.BACKEND)
    CLUSTER_IPS = SetSpec("cluster-ips", (Field.DESTINATION,))
    NODE_PORT_IPS = SetSpec("nodeport-ips", (Field.DESTINATION,))
    HAIRPINS = SetSpec("hairpins", (Field.SOURCE, Field.DESTINATION, Field.PROTOCOL, Field.PORT))
    SOURCE_RANGES = SetSpec("source-ranges", CLIENT_KEY, interval=True)
    AFFINITY = SetSpec("affinity", CLIENT_KEY, Value.BACKEND, size=1 << 20, dynamic=True)
    AFFINITY_TIMEOUTS = SetSpec("affinity-timeouts", SERVICE_KEY, Value.VERDICT)
    NODE_PORT_AFFINITY_TIMEOUTS = SetSpec("nodeport-affinity-timeouts", NODE_PORT_KEY, Value.VERDICT)
    AFFINITY_ENDPOINTS = SetSpec("affinity-endpoints", (*SERVICE_KEY, *BACKEND))
    NODE_PORT_AFFINITY_ENDPOINTS = SetSpec("nodeport-affinity-endpoints", (*NODE_PORT_KEY, *BACKEND))

    __hash__ = object.__hash__  # Enum's own is slow, and members are singletons

    @property
    def spec(self) -> SetSpec:
        """The set's name and shape."""
        return self.value


class Counting(enum.Enum):
    """Of what new connections are counted. A counter costs each element some 50 bytes of the kernel's memory."""

    NOTHING = "none"
    SERVICES = "services"
    ENDPOINTS = "endpoints"

    @property
    def sets(self) -> frozenset[Set]:
        """The sets whose elements count how often a connection's first packet met them."""
        match self:
            case Counting.NOTHING:
                return frozenset()
            case Counting.SERVICES:
                return _COUNT_SERVICES
            case Counting.ENDPOINTS:
                return _COUNT_SERVICES | _COUNT_ENDPOINTS


_COUNT_SERVICES: Final = frozenset((Set.SERVICES, Set.NODE_PORTS))
_COUNT_ENDPOINTS: Final = frozenset(
    (
        Set.ENDPOINTS,
        Set.NODE_PORT_ENDPOINTS,
        Set.SHORT_ENDPOINTS,
        Set.NODE_PORT_SHORT_ENDPOINTS,
        Set.AFFINITY_ENDPOINTS,
        Set.NODE_PORT_AFFINITY_ENDPOINTS,
    )
)


class Verdict(enum.Enum):
    """A verdict that needs no chain."""

    DROP = "drop"


class Kind(enum.Enum):
    """What a shared chain does with a packet for a frontend."""

    CLUSTER = "cluster"  # ClusterIP traffic to `number` endpoints
    EXTERNAL = "external"  # external traffic, policy Cluster: masqueraded
    LOCAL = "local"  # external traffic, policy Local: this node's endpoints; the node's own clients are short-circuited
    SHORT = "short"  # the short circuit: all endpoints, whatever the policy
    REJECT = "refuse"  # nothing serves it anywhere ("reject" is a word nft would not take for a chain)
    LEARN = "learn"  # after translation: remember the client's endpoint for `number` seconds

    __hash__ = object.__hash__  # Enum's own is slow, and members are singletons


class ChainKey(NamedTuple):
    """A shared chain: every Service of the same shape uses the same one, and it exists only while one does."""

    kind: Kind
    number: int = 0
    node_port: bool = False
    affinity: bool = False
    ranges: bool = False
    maglev: bool = False

    @property
    def name(self) -> str:
        """The chain's name, which says all of it: `nodeport-external-3-affinity`."""
        parts = ["nodeport"] if self.node_port else []
        parts.append(self.kind.value)
        if self.kind is not Kind.REJECT:
            parts.append(str(self.number))
        if self.affinity:
            parts.append("affinity")
        if self.ranges:
            parts.append("ranges")
        if self.maglev:
            parts.append("maglev")
        return "-".join(parts)


Element = ChainKey | Verdict | bytes | None
"""What an element holds: a verdict (goto a chain, or drop), a backend, or nothing; an interval's last key as bytes."""


@dataclass(frozen=True, slots=True)
class SourceIn:
    """ip saddr [!=] prefix"""

    prefix: Prefix
    negated: bool = False


@dataclass(frozen=True, slots=True)
class DestinationIn:
    """ip daddr [!=] prefix"""

    prefix: Prefix
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SourceLocal:
    """fib saddr type local: this machine sends it."""


@dataclass(frozen=True, slots=True)
class DestinationLocal:
    """fib daddr type [!=] local"""

    negated: bool = False


@dataclass(frozen=True, slots=True)
class InputInterface:
    """iifname [!=] name; a name ending in * is a prefix."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InSet:
    """fields [!=] @set"""

    fields: tuple[Field, ...]
    set: Set
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Translated:
    """ct status dnat: some rule gave the connection another destination."""


@dataclass(frozen=True, slots=True)
class Marked:
    """meta mark & mask != 0"""

    mask: int


@dataclass(frozen=True, slots=True)
class SetMark:
    """meta mark set meta mark | mask"""

    mask: int


@dataclass(frozen=True, slots=True)
class FlipMark:
    """meta mark set meta mark ^ mask"""

    mask: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """masquerade fully-random"""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """fields vmap @map; the packet goes on to the next rule when the map has no such key."""

    fields: tuple[Field, ...]
    map: Set


@dataclass(frozen=True, slots=True)
class Translate:
    """dnat ip to fields [. numgen random mod slots] map @map; the next rule's turn when the map has no such key.

    `hashed` draws the slot by `jhash ip saddr . th sport` instead: the same for every packet of a connection, anywhere.
    """

    fields: tuple[Field, ...]
    map: Set
    slots: int = 0
    hashed: bool = False


@dataclass(frozen=True, slots=True)
class Remember:
    """update @affinity { the connection's frontend and client timeout T : its backend }"""

    seconds: int


@dataclass(frozen=True, slots=True)
class Forget:
    """delete @affinity { the connection's frontend and client }"""


@dataclass(frozen=True, slots=True)
class Jump:
    """jump chain"""

    chain: str


@dataclass(frozen=True, slots=True)
class OverTcp:
    """meta l4proto tcp"""


@dataclass(frozen=True, slots=True)
class Reset:
    """reject with tcp reset: at once and as often as needed, where ICMP errors are rationed"""


@dataclass(frozen=True, slots=True)
class Reject:
    """reject: port unreachable"""


@dataclass(frozen=True, slots=True)
class Drop:
    """drop"""


Statement = (
    SourceIn
    | DestinationIn
    | SourceLocal
    | DestinationLocal
    | InputInterface
    | InSet
    | Translated
    | Marked
    | SetMark
    | FlipMark
    | Masquerade
    | Dispatch
    | Translate
    | Remember
    | Forget
    | Jump
    | OverTcp
    | Reset
    | Reject
    | Drop
)
Rule = tuple[Statement, ...]


class Hook(enum.IntEnum):
    """Where in a packet's way a base chain sits; the value is the kernel's number."""

    PREROUTING = 0
    INPUT = 1
    OUTPUT = 3
    POSTROUTING = 4


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain and its rules; one with a hook is a nat base chain."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None
    priority: int = 0
