"""Spread backends over a fixed table so that one that comes or goes moves few of the others' connections. No I/O.

Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4. Every
node makes the same table of the same backends, so a connection that reaches another node still finds its backend.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

SIZE: Final = 251  # a prime, and many times the backends a Service of this kind usually has


def table(weights: Mapping[bytes, int]) -> tuple[bytes, ...]:
    """`SIZE` slots, shared in proportion to the weights; empty without backends. More than `SIZE` don't all fit."""
    backends = sorted(backend for backend, weight in weights.items() if weight > 0)
    if not backends:
        return ()
    heaviest = max(weights[backend] for backend in backends)
    places = {backend: _permutation(backend) for backend in backends}
    tried = dict.fromkeys(backends, 0)
    credit = dict.fromkeys(backends, 0)
    slots: list[bytes | None] = [None] * SIZE
    free = SIZE
    while free:
        for backend in backends:
            credit[backend] += weights[backend]
            if credit[backend] < heaviest:
                continue
            credit[backend] -= heaviest
            offset, skip = places[backend]
            while True:
                slot = (offset + tried[backend] * skip) % SIZE
                tried[backend] += 1
                if slots[slot] is None:
                    break
            slots[slot] = backend
            free -= 1
            if not free:
                break
    return tuple(slot for slot in slots if slot is not None)


def _permutation(backend: bytes) -> tuple[int, int]:
    digest = hashlib.blake2b(backend, digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") % SIZE, int.from_bytes(digest[8:], "big") % (SIZE - 1) + 1
