"""What the agent and its looking commands are both made with."""

import logging
import os
from pathlib import Path

from nodekit.kube import auth
from pyproxy.model.address import Family
from pyproxy.model.options import Options

log = logging.getLogger(__name__)


def credentials(options: Options) -> auth.Credentials:
    """Who we are to the API server: a kubeconfig's user or a Pod's account; nobody, for a server alone.

    Raises AuthError.
    """
    if options.kubeconfig:
        found = auth.load(Path(options.kubeconfig))
    elif options.server:
        return auth.Credentials(auth.Cluster((options.server.rstrip("/"),)), auth.Identity())
    else:
        found = auth.in_cluster(os.environ)
    return found.at(options.server) if options.server else found


def families() -> tuple[Family, ...]:
    """Those to serve: IPv6 is left alone on a machine that has none."""
    disabled = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if not Path("/proc/net/if_inet6").exists() or (disabled.exists() and disabled.read_text().strip() == "1"):
        log.info("IPv6 is not served: this machine has none")
        return (Family.IPV4,)
    return tuple(Family)
