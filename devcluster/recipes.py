"""Which images there are, and how each is made from binaries built here and one small Debian root. Data.

They are what the e2e and conformance suites of Kubernetes ask of a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import oci, versions

_E2E = "registry.k8s.io/e2e-test-images/"
PAUSE = f"registry.k8s.io/pause:{versions.PAUSE}"
AGNHOST = f"{_E2E}agnhost:{versions.AGNHOST}"
BUSYBOX = f"{_E2E}busybox:{versions.BUSYBOX}"
NGINX = f"{_E2E}nginx:{versions.NGINX}"

DEBIAN_PACKAGES = (
    "ca-certificates", "curl", "dnsutils", "iperf", "iproute2", "netcat-openbsd", "nginx-light", "procps", "socat",
)  # fmt: skip
_APPLETS = ("hexdump", "vi", "nslookup", "ifconfig", "netstat", "route", "ping", "less", "telnet", "tree")
# Debian's static busybox dies of a segmentation fault in wget: the few options the suite uses, by curl.
_WGET = b"""#!/bin/sh
out= time= body=
while [ $# -gt 1 ]; do
    case $1 in
        -O) out=$2; shift ;;
        -O*) out=${1#-O} ;;
        -T) time=$2; shift ;;
        -T*) time=${1#-T} ;;
        --post-data=*) body=${1#*=} ;;
        -qO*) out=${1#-qO}; [ -n "$out" ] || { out=$2; shift; } ;;
    esac
    shift
done
exec curl -sSfL ${time:+-m "$time"} ${body:+--data-binary "$body"} -o "${out:-$(basename "$1")}" "$1"
"""
_USERS: dict[str, Path | bytes] = {
    "etc/passwd": b"""root:x:0:0:root:/root:/bin/sh
www-data:x:33:33::/var/www:/bin/false
nobody:x:65534:65534::/:/bin/false
user-defined-in-image:x:1000:1000::/home/u:/bin/sh
""",
    "etc/group": b"""root:x:0:
adm:x:4:
tty:x:5:
www-data:x:33:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
""",
}
_SMALL_USERS: dict[str, Path | bytes] = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": b"root:x:0:\n",
    "etc/hosts": b"127.0.0.1 localhost\n",
}

# A child reaper that does nothing else: what holds a Pod's namespaces open.
PAUSE_SOURCE = """
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void quit(int number) { exit(0); }
static void reap(int number) { while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, quit); signal(SIGTERM, quit); signal(SIGCHLD, reap);
  for (;;) pause();
}
"""

# The suite reads the words of busybox's ash, but also sets environment names such as data-1, which Debian's ash drops:
# where there are such names, bash takes its place.
SH_SOURCE = """
#include <ctype.h>
#include <unistd.h>
extern char **environ;
static int plain(const char *variable) {
  if (isdigit(*variable)) return 0;
  while (isalnum(*variable) || *variable == '_') variable++;
  return *variable == '=';
}
int main(int count, char **arguments) {
  char **variable = environ;
  while (*variable && plain(*variable)) variable++;
  execv(*variable ? "/usr/bin/bash" : "/usr/bin/busybox", arguments);
  return 127;
}
"""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What recipes are made of: built binaries by name, the suite's image sources, compiled sources, static busybox."""

    binaries: Mapping[str, Path]
    sources: Path
    pause: Path
    sh: Path
    busybox: Path
    applets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: all its names, its config, and its layers; `on_debian` puts them on the Debian root."""

    names: tuple[str, ...]
    config: Mapping[str, Any]
    layers: tuple[oci.Tree, ...] = ()
    on_debian: bool = True


def every(of: Ingredients) -> list[Recipe]:
    """All recipes."""
    agnhost = _agnhost(of)
    return [
        Recipe(
            (PAUSE, "registry.k8s.io/pause:3.10.1", "registry.k8s.io/pause:3.10"),
            {"Entrypoint": ["/pause"], "User": "65535:65535"},
            (oci.Tree({"pause": of.pause}),),
            on_debian=False,
        ),
        # agnhost comes with the users some tests run as, and under a second name that others call
        Recipe(
            (AGNHOST, f"{_E2E}agnhost:2.55", f"{_E2E}agnhost:2.53"),
            {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]},
            (_applets(of), agnhost),
        ),
        Recipe(
            (BUSYBOX, f"{_E2E}busybox:1.36.1-1", "docker.io/library/busybox:latest"),
            {"Cmd": ["sh"]},
            (_busybox(of),),
        ),
        Recipe(
            (NGINX, f"{_E2E}nginx:1.28.0-2", "docker.io/library/nginx:latest"),
            {
                "Entrypoint": ["/docker-entrypoint.sh"],
                "Cmd": ["nginx", "-g", "daemon off;"],
                "ExposedPorts": {"80/tcp": {}},
                "StopSignal": "SIGQUIT",
            },
            (_applets(of), oci.Tree({"docker-entrypoint.sh": b'#!/bin/sh\nexec "$@"\n'})),
        ),
        Recipe((f"{_E2E}glibc-dns-testing:2.1.1",), {"Cmd": ["bash"]}, (_applets(of),)),
        *(
            Recipe((f"{_E2E}{name}:1.8",), {"Cmd": ["test-webserver"]}, (_applets(of), agnhost, _pictures(of, name)))
            for name in ("nautilus", "kitten")
        ),
        Recipe(
            (f"{_E2E}nonewprivs:1.4",),
            {"Cmd": ["nnp"]},
            (oci.Tree({"usr/local/bin/nnp": of.binaries["nnp"]}, modes={"usr/local/bin/nnp": 0o6755}),),
        ),
        Recipe(
            (f"{_E2E}regression-issue-74839:1.5",),
            {"Entrypoint": ["/regression-issue-74839"]},
            (oci.Tree({"regression-issue-74839": of.binaries["regression-issue-74839"]}),),
            on_debian=False,
        ),
        Recipe(
            (f"{_E2E}sample-apiserver:1.29.2",),
            {"Entrypoint": ["/sample-apiserver"]},
            (oci.Tree({"sample-apiserver": of.binaries["sample-apiserver"]}, folders={"tmp": 0o1777}),),
            on_debian=False,
        ),
        Recipe(
            ("registry.k8s.io/etcd:3.7.0-0",),
            {"Env": ["PATH=/usr/local/bin:/bin"]},
            (_etcd(of),),
            on_debian=False,
        ),
    ]


def names() -> tuple[str, ...]:
    """The first name of every image: what is pulled where images are not built."""
    return (
        PAUSE, AGNHOST, BUSYBOX, NGINX, f"{_E2E}agnhost:2.55", f"{_E2E}glibc-dns-testing:2.1.1", f"{_E2E}nautilus:1.8",
        f"{_E2E}kitten:1.8", f"{_E2E}nonewprivs:1.4", f"{_E2E}sample-apiserver:1.29.2", "registry.k8s.io/etcd:3.7.0-0",
        f"{_E2E}regression-issue-74839:1.5",
    )  # fmt: skip


def _agnhost(of: Ingredients) -> oci.Tree:
    porter = of.sources / "agnhost" / "porter"
    return oci.Tree(
        {
            "agnhost": of.binaries["agnhost"],
            "localhost.crt": porter / "localhost.crt",
            "localhost.key": porter / "localhost.key",
            **_USERS,
        },
        links={"agnhost-2": "agnhost"},
        folders={"uploads": 0o755},
        modes=dict.fromkeys(_USERS, 0o644),
    )


def _busybox(of: Ingredients) -> oci.Tree:
    """Every applet in /bin, in place of Debian's programs: the suite reads what they print."""
    files: dict[str, Path | bytes] = {"usr/bin/busybox": of.busybox, "usr/bin/sh": of.sh, "usr/bin/wget": _WGET}
    links = {path: "busybox" for path in (f"usr/bin/{name}" for name in of.applets) if path not in files}
    return oci.Tree(files, links)


def _applets(of: Ingredients) -> oci.Tree:
    """The few applets that the Debian root lacks."""
    links = {f"usr/local/bin/{name}": "busybox" for name in _APPLETS if name in of.applets}
    return oci.Tree({"usr/local/bin/busybox": of.busybox, "usr/local/bin/wget": _WGET}, links)


def _pictures(of: Ingredients, name: str) -> oci.Tree:
    html = of.sources / name / "html"
    return oci.Tree(
        {
            "etc/os-release": b'NAME="Alpine Linux"\nID=alpine\n',  # a conformance test reads the name
            f"{name}.jpg": html / f"{name}.jpg",
            "data.json": html / "data.json",
            "usr/local/bin/test-webserver": b"#!/bin/sh\ncd /\nexec /agnhost test-webserver\n",
        }
    )


def _etcd(of: Ingredients) -> oci.Tree:
    folders = (
        "bin",
        "etc",
        "home",
        "proc",
        "sys",
        "dev",
        "root",
        "usr",
        "usr/local",
        "usr/local/bin",
        "var",
        "var/run",
    )
    return oci.Tree(
        {"usr/local/bin/etcd": of.binaries["etcd"], "bin/busybox": of.busybox, **_SMALL_USERS},
        links={f"bin/{name}": "busybox" for name in of.applets if name != "busybox"},
        folders={**dict.fromkeys(folders, 0o755), "tmp": 0o1777},
    )
