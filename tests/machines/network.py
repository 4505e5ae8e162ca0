"""A Pod network without a registry: bridges on the nodes' own PodCIDRs, and routes between the nodes."""

from typing import Final

CONFIGURATION: Final = (
    '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,'
    '"hairpinMode":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"SUBNET"}]],"routes":[{"dst":"0.0.0.0/0"}]}},'
    '{"type":"portmap","capabilities":{"portMappings":true}}]}'
)
"""For /etc/cni/net.d, with SUBNET in place of a node's PodCIDR."""
