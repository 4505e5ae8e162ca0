"""The hash that the genuine kubelet writes into labels and checkpoints. No I/O."""


def fnv1a(data: bytes) -> int:
    """FNV-1a, 32 bits (hash/fnv New32a)."""
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
