"""The command line: the genuine kubelet's, so that kubeadm and units written for it work unchanged."""

import argparse
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from nodekit import config as configs
from nodekit import logs
from nodekit.kube import auth
from pykubelet import KUBERNETES_VERSION, VERSION, app, errors, flag_values, flags
from pykubelet.config import effects, load
from pykubelet.config.settings import Settings
from pykubelet.desired.last_known import Keep
from pykubelet.options import Options
from pykubelet.serve import explain

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent, or ask the one that runs here; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["explain"]:
        return _explain(words[1:])
    given = _parser().parse_args([flags.dashed(word) for word in words])
    if given.version:
        print(f"Kubernetes v{KUBERNETES_VERSION}")
        return 0
    try:
        settings, warnings = _settings(given)
        options = _options(given, settings)
        logs.setup(settings.logging)
        log.info("pykubelet %s, a kubelet %s, on node %s", VERSION, KUBERNETES_VERSION, options.node_name)
        for warning in warnings:
            log.warning("%s", warning)
        app.main(settings, options)
    except (errors.StartupError, auth.AuthError, configs.ConfigError, OSError, ValueError) as error:
        print(f"pykubelet: {error}", file=sys.stderr)
        return 1
    return 0


def _explain(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="pykubelet explain", description="Say what a Pod of this node waits for, since when, and what comes next."
    )
    parser.add_argument("kind", choices=("pod",), help="what is asked about")
    parser.add_argument("name", help="which one: NAMESPACE/NAME")
    parser.add_argument("--root-dir", type=Path, default=Path("/var/lib/kubelet"), help="the kubelet's --root-dir")
    given = parser.parse_args(words)
    try:
        known, said = explain.ask(given.root_dir, given.name)
    except OSError as error:
        print(f"pykubelet: no pykubelet answers in {given.root_dir}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(said, end="", file=sys.stdout if known else sys.stderr)
    return 0 if known else 1


def _parser() -> argparse.ArgumentParser:
    parser = flags.Parser(
        prog="pykubelet", description="A kubelet: runs the Pods bound to this node.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, help="a KubeletConfiguration file")
    parser.add_argument("--config-dir", type=Path, help="a folder of *.conf files laid over it")
    parser.add_argument("--kubeconfig", type=Path, help="where the API server is and who we are to it")
    parser.add_argument("--bootstrap-kubeconfig", type=Path, help="what to ask for credentials with, if there are none")
    parser.add_argument("--root-dir", type=Path, default=Path("/var/lib/kubelet"), help="where Pods' files are kept")
    parser.add_argument("--cert-dir", type=Path, default=Path("/var/lib/kubelet/pki"), help="where certificates are")
    parser.add_argument("--hostname-override", default="", help="this node's name, instead of the machine's")
    parser.add_argument(
        "--node-ip", type=flag_values.words, default=(), help="this node's addresses, the primary first"
    )
    parser.add_argument(
        "--cloud-provider", default="", help="external: a cloud-controller-manager sets the node up; otherwise empty"
    )
    parser.add_argument("--node-labels", type=_labels, default=(), help="labels to register with: a=b,c=d")
    parser.add_argument(
        "--last-known-state",
        type=_keep,
        metavar="|".join(keep.value for keep in Keep),
        default=Keep.ALL,
        help="what is kept on disk to run Pods again if no API server answers at a start (ours; default: all)",
    )
    parser.add_argument("--image-credential-provider-config", type=Path, help="a CredentialProviderConfig, or a folder")
    parser.add_argument("--image-credential-provider-bin-dir", type=Path, help="the programs that it names")
    parser.add_argument("--version", action="store_true", help="print the Kubernetes version and exit")
    flags.add(parser)
    return parser


def _settings(given: argparse.Namespace) -> tuple[Settings, list[str]]:
    try:
        files = load.read(given.config, drop_ins=given.config_dir)
    except OSError as error:
        raise errors.StartupError(f"{error.filename or given.config}: {error.strerror}") from error
    document = load.checked(flags.laid_over(files, given))
    warnings = [f"{flag} has no effect" for flag in flags.ignored(given)]
    warnings += [str(problem) for problem in effects.warnings(document)]
    return document.settings, warnings


def _options(given: argparse.Namespace, settings: Settings) -> Options:
    if given.kubeconfig is None:
        raise errors.StartupError("--kubeconfig is missing: it says where the API server is and who this node is to it")
    if (given.image_credential_provider_config is None) != (given.image_credential_provider_bin_dir is None):
        pair = "--image-credential-provider-config and --image-credential-provider-bin-dir"
        raise errors.StartupError(f"{pair} need each other: give both, or none")
    if given.cloud_provider not in ("", "external"):
        raise errors.StartupError(
            f"--cloud-provider {given.cloud_provider}: no cloud provider is built in; "
            "use --cloud-provider=external and the cloud's own cloud-controller-manager"
        )
    return Options(
        node_name=(given.hostname_override or socket.gethostname()).strip().lower(),
        kubeconfig=given.kubeconfig,
        bootstrap_kubeconfig=given.bootstrap_kubeconfig,
        root=given.root_dir,
        certificates=given.cert_dir,
        node_ips=given.node_ip,
        given_ips=given.node_ip,
        external_cloud=given.cloud_provider == "external",
        labels=given.node_labels,
        register=settings.register_node,
        verbosity=settings.logging.verbosity,
        flags=flags.shown(_parser(), given),
        last_known=given.last_known_state,
        credential_providers=given.image_credential_provider_config,
        credential_programs=given.image_credential_provider_bin_dir,
    )


def _keep(text: str) -> Keep:
    try:
        return Keep(text)
    except ValueError as error:
        known = ", ".join(keep.value for keep in Keep)
        raise argparse.ArgumentTypeError(f"expected one of {known}, got {text!r}") from error


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for word in flag_values.words(text):
        key, equals, value = word.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"expected key=value, got {word!r}")
        found.append((key, value))
    return tuple(found)
