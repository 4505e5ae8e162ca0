"""Decide which features the node declares, so that Pods that need one are not bound to a node without it. No I/O.

Source: KEP-5328; the list is k8s.io/component-helpers nodedeclaredfeatures/features.
"""

from collections.abc import Mapping
from typing import Final

_DEFAULTS: Final[Mapping[str, bool]] = {
    "ExtendWebSocketsToKubelet": True,
    "InPlacePodLevelResourcesVerticalScaling": True,
    "InPlacePodVerticalScalingInitContainers": True,
    "RestartAllContainersOnContainerExits": True,
    "UserNamespacesHostNetworkSupport": False,
}
"""What this kubelet can do of that list, and whether it is on by default in 1.37; one is added when it is done."""

_BY_RUNTIME: Final[Mapping[str, str]] = {"UserNamespacesHostNetworkSupport": "user_namespaces_host_network"}
"""What the container runtime must be able to do as well."""


def of(gates: Mapping[str, bool], runtime_features: frozenset[str]) -> tuple[str, ...]:
    """The features in order, given `featureGates` of the configuration and what the runtime says of itself."""
    return tuple(
        sorted(
            name
            for name, default in _DEFAULTS.items()
            if gates.get(name, default) and (name not in _BY_RUNTIME or _BY_RUNTIME[name] in runtime_features)
        )
    )
