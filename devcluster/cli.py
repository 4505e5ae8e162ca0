"""The command line: up, down, status, kubectl, logs, node, exec, env, build, images."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from devcluster import (
    binaries,
    cluster,
    failures,
    images,
    kube,
    layout,
    netns,
    recipes,
    runtimes,
    spec,
    state,
    status,
    tools,
    versions,
)
from devcluster.errors import DevClusterError
from devcluster.progress import Reporter


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. What fails is told in full on stderr."""
    # Where Go's own archive is unpacked to; sudo leaves it out of PATH.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin"
    options = _options(sys.argv[1:] if arguments is None else arguments)
    report = Reporter(quiet=options.quiet)
    try:
        spec.check_name(options.name)
        return int(options.run(options, report) or 0)
    except (DevClusterError, OSError, kube.ApiError) as error:
        failure = failures.of(f"{options.command} {options.action}".strip(), error)
        report.console.print(failure.report(), style="red", markup=False, soft_wrap=True)
        for note in getattr(failure, "__notes__", ()):
            report.console.print(f"also: {note}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        report.say("interrupted; run the same command again to go on, or `make down` to take all away")
        return 130


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """What comes after `kubectl` is kubectl's, options too: argparse would take those that come first for its own."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] == "--name" else 1
    end = at + 1 if arguments[at : at + 1] == ["kubectl"] else len(arguments)
    options = _parser().parse_args(arguments[:end])
    if end < len(arguments):
        options.arguments = list(arguments[end:])
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devcluster", description=__doc__)
    parser.add_argument(
        "--name", default=os.environ.get("DEVCLUSTER", "dev"), help="which cluster (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing of progress")
    parser.set_defaults(action="")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")

    up = commands.add_parser("up", help="bring the cluster up, or make it be as said here")
    up.add_argument("--nodes", type=int, help="how many nodes (default: those there are, or 2)")
    up.add_argument("--node", action="append", default=[], metavar="NAME=KIND", help=", ".join(spec.NODE_KINDS))
    up.add_argument("--api-servers", type=int, choices=range(1, spec.MAX_API_SERVERS + 1))
    up.add_argument("--ip-family", type=spec.Family, choices=list(spec.Family))
    up.add_argument(
        "--proxy-mode",
        type=spec.ProxyMode,
        choices=list(spec.ProxyMode),
        help="of the proxies of all nodes, ours or genuine (default: as it is, or nftables)",
    )
    up.add_argument("--binaries", default="", help="a folder with genuine binaries, used before any other source")
    up.add_argument(
        "--containerd",
        choices=runtimes.KNOWN,
        help=f"which version all nodes run (default: as it is, or {versions.CONTAINERD})",
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="take everything of the cluster away")
    down.add_argument("--all", action="store_true", help="every cluster on this machine")
    down.set_defaults(run=_down)

    commands.add_parser("status", help="what runs, and how it is").set_defaults(run=_status)

    for name, text in (
        ("kubectl", "kubectl as the administrator"),
        ("run", "a program in the control plane's network"),
    ):
        command = commands.add_parser(name, help=text)
        if name == "run":
            command.add_argument(
                "--suite", action="store_true", help="with the upstream suite on PATH: e2e.test, ginkgo"
            )
        command.add_argument("arguments", nargs=argparse.REMAINDER)
        command.set_defaults(run=_kubectl if name == "kubectl" else _run)

    execute = commands.add_parser("exec", help="a program inside a node")
    execute.add_argument("node")
    execute.add_argument("arguments", nargs=argparse.REMAINDER)
    execute.set_defaults(run=_exec)

    logs = commands.add_parser("logs", help="the end of each log, or of those whose name contains a word")
    logs.add_argument("words", nargs="*", help="such as n1, kubelet, kube-apiserver")
    logs.add_argument("--lines", type=int, default=30)
    logs.set_defaults(run=_logs)

    node = commands.add_parser("node", help="add, remove, or restart the agents of one node")
    actions = node.add_subparsers(required=True, metavar="action", dest="action")
    add = actions.add_parser("add", help="add a node, or change its agents: n3, n2=genuine")
    add.add_argument("node", type=spec.parse_node)
    add.set_defaults(run=_node_add)
    remove = actions.add_parser("remove", help="remove a node")
    remove.add_argument("node")
    remove.set_defaults(run=_node_remove)
    restart = actions.add_parser("restart", help="restart kubelet, proxy or containerd of a node")
    restart.add_argument("node")
    restart.add_argument("agent", choices=status.RESTARTABLE)
    restart.set_defaults(run=_node_restart)

    publish = commands.add_parser("publish", help="give an image a further name in the cluster's registry")
    publish.add_argument("image", help="the new name, such as registry.k8s.io/e2e-test-images/late:1")
    publish.add_argument("--like", default=recipes.PAUSE, help="which image it shall be (default: %(default)s)")
    publish.add_argument("--remove", action="store_true", help="take the name away instead")
    publish.set_defaults(run=_publish)

    commands.add_parser("env", help="shell lines that give you kubectl for this cluster").set_defaults(run=_env)
    build = commands.add_parser("build", help="fetch or build the genuine binaries")
    build.add_argument("--suite", action="store_true", help="also what tests run: e2e.test, ginkgo, kubeadm, ...")
    build.add_argument("--binaries", default="")
    build.set_defaults(run=_build)
    pictures = commands.add_parser("images", help="fetch or build the images")
    pictures.add_argument("--binaries", default="")
    pictures.set_defaults(run=_images)
    return parser


def _up(options: argparse.Namespace, report: Reporter) -> None:
    """What is not said stays as it is in a cluster that is up, so that a plain `up` mends one."""
    before = state.load(layout.of(options.name))
    as_it_is = before or spec.ClusterSpec(name=options.name, nodes=spec.nodes_of(2, ()))
    given = as_it_is.binaries
    if options.binaries and options.containerd:
        raise DevClusterError("--containerd", "--binaries says already where containerd is", hint="give one of them")
    if options.binaries:
        given = str(binaries.user_folders(options.binaries)[0])
    elif options.containerd:
        ours = options.containerd == versions.CONTAINERD
        given = "" if ours else str(runtimes.folder(options.containerd, report))
    wanted = spec.ClusterSpec(
        name=options.name,
        nodes=spec.chosen(as_it_is.nodes, options.nodes, [spec.parse_node(text) for text in options.node]),
        api_servers=options.api_servers or as_it_is.api_servers,
        family=options.ip_family or as_it_is.family,
        binaries=given,
        proxy_mode=options.proxy_mode or as_it_is.proxy_mode,
    )
    with report.live():
        answers = cluster.up(wanted, report)
    for answer in answers:
        print(answer)
    print(f"cluster {options.name} is up. Go on with:\n{status.hints(layout.of(options.name))}")


def _down(options: argparse.Namespace, report: Reporter) -> None:
    for name in state.names() if options.all else [options.name]:
        if not cluster.down(name, report):
            report.say(f"cluster {name}: there is nothing")


def _status(options: argparse.Namespace, report: Reporter) -> int:
    return status.show(layout.of(options.name))


def _kubectl(options: argparse.Namespace, report: Reporter) -> None:
    files = layout.of(options.name)
    state.need(files)
    _become([str(files.kubectl), *_given(options)])


def _run(options: argparse.Namespace, report: Reporter) -> None:
    files = layout.of(options.name)
    given = state.need(files).binaries
    folders = [files.bin]
    if options.suite:
        with report.live():
            folders += {path.parent for path in binaries.resolve(tools.SUITE, report, given=given).values()}
    environment = {
        **os.environ,
        "KUBECONFIG": str(files.admin),
        "DEVCLUSTER": options.name,
        "PATH": ":".join([*map(str, folders), os.environ.get("PATH", "")]),
    }
    _become([*netns.enter(files.netns(netns.CONTROL_PLANE)), *_command(options)], environment)


def _exec(options: argparse.Namespace, report: Reporter) -> None:
    files = layout.of(options.name)
    state.need(files).node(options.node)
    environment = {
        **os.environ,
        "PATH": f"{layout.NODE_BIN}:{os.environ.get('PATH', '')}",
        "CONTAINERD_ADDRESS": str(layout.CONTAINERD_SOCKET),
        "CONTAINERD_NAMESPACE": "k8s.io",
    }
    entered = netns.enter(files.netns(options.node), files.mount_namespaces / options.node)
    _become([*entered, *_command(options)], environment)


def _command(options: argparse.Namespace) -> list[str]:
    return _given(options) or [os.environ.get("SHELL", "/bin/sh")]


def _given(options: argparse.Namespace) -> list[str]:
    given: list[str] = options.arguments
    return given[1:] if given[:1] == ["--"] else given


def _logs(options: argparse.Namespace, report: Reporter) -> None:
    status.show_logs(layout.of(options.name), options.words, options.lines)


def _node_add(options: argparse.Namespace, report: Reporter) -> None:
    with report.live():
        cluster.add_node(options.name, options.node, report)


def _node_remove(options: argparse.Namespace, report: Reporter) -> None:
    cluster.remove_node(options.name, options.node, report)


def _node_restart(options: argparse.Namespace, report: Reporter) -> None:
    from devcluster import api

    with report.step(f"restart {options.agent} of {options.node}"):
        api.Cluster(options.name).node(options.node).restart(options.agent)


def _publish(options: argparse.Namespace, report: Reporter) -> None:
    from devcluster import api

    running = api.Cluster(options.name)
    if not options.remove:
        running.publish(options.image, like=options.like)
    elif not running.unpublish(options.image):
        raise DevClusterError(f"publish --remove {options.image}", "the registry has no such name")


def _env(options: argparse.Namespace, report: Reporter) -> None:
    print(status.hints(layout.of(options.name)))


def _build(options: argparse.Namespace, report: Reporter) -> None:
    wanted = [*tools.CLUSTER, *tools.IMAGES, *((*tools.SUITE, *tools.TESTS) if options.suite else ())]
    with report.live():
        found = binaries.resolve(wanted, report, given=options.binaries)
    for name, path in sorted(found.items()):
        print(f"{name:26} {tools.BY_NAME[name].version:10} {path}")


def _images(options: argparse.Namespace, report: Reporter) -> None:
    with report.live():
        store = images.obtain(report, given=options.binaries)
    for name in store.images():
        print(name)


def _become(argv: list[str], environment: dict[str, str] | None = None) -> None:
    sys.stdout.flush()
    os.execvpe(argv[0], argv, environment or dict(os.environ))
