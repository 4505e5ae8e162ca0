"""What the configuration says of the Node, as its decisions need it."""

from collections.abc import Mapping

from nodekit.objects.node import Taint
from pykubelet.config.settings import Settings
from pykubelet.decide.node_status import NodeSettings
from pykubelet.report.node import Timing


def of(
    settings: Settings,
    *,
    name: str,
    version: str,
    labels: Mapping[str, str],
    external_cloud: bool = False,
    node_ips: tuple[str, ...] = (),
) -> NodeSettings:
    """`version` as the Node shows it (v1.37.2+...); `node_ips` as --node-ip gives them."""
    return NodeSettings(
        name=name,
        hostname=name,
        version=version,
        port=settings.port,
        labels=labels,
        taints=tuple(
            Taint(key=taint.key, value=taint.value, effect=taint.effect) for taint in settings.register_with_taints
        ),
        provider_id=settings.provider_id,
        attach_detach=settings.enable_controller_attach_detach,
        max_pods=settings.max_pods,
        pods_per_core=settings.pods_per_core,
        max_images=settings.node_status_max_images,
        reserved=(settings.kube_reserved, settings.system_reserved),
        eviction_hard=settings.eviction_hard,
        feature_gates=settings.feature_gates,
        external_cloud=external_cloud,
        node_ips=node_ips,
    )


def timing(settings: Settings, *, register: bool) -> Timing:
    """How often the Node is looked at and reported, and whether it is made if it is not there."""
    return Timing(
        check=settings.node_status_update_frequency,
        report=settings.node_status_report_frequency,
        register=settings.register_node and register,
    )
