"""What the agent and its looking commands are both made with."""

import os
from pathlib import Path

from nodekit.kube import auth
from pyproxy.model.options import Options


def credentials(options: Options) -> auth.Credentials:
    """Who we are to the API server: a kubeconfig's user or a Pod's account. Raises AuthError."""
    found = auth.load(Path(options.kubeconfig)) if options.kubeconfig else auth.in_cluster(os.environ)
    if options.server:
        cluster = auth.Cluster(
            (options.server.rstrip("/"),),
            authority=found.cluster.authority,
            insecure=found.cluster.insecure,
            server_name=found.cluster.server_name,
        )
        return auth.Credentials(cluster, found.identity)
    return found
