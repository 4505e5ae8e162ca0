"""What the agent and its looking commands are both made with."""

import os
from pathlib import Path

from nodekit.kube import auth
from pyproxy.model.options import Options


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
