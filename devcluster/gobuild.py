"""Build genuine binaries from Go modules, for machines that reach a module proxy but not the release sites.

k8s.io/kubernetes and etcd's modules hold replace lines, so `go install pkg@version` refuses them: a small wrapper
module that requires them is written instead. Flags are fixed, so that Go's own build cache serves a second build.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from devcluster import shell, versions
from devcluster.errors import DevClusterError
from devcluster.tools import Tool

_PLAIN = "-s -w"
_ETCD_MODULES = ("server", "etcdctl", "etcdutl")
_KUBERNETES_PACKAGES = (
    "cmd/kube-apiserver", "cmd/kube-controller-manager", "cmd/kube-scheduler", "cmd/kubelet", "cmd/kube-proxy",
    "cmd/kubeadm", "cmd/kubectl", "test/e2e", "test/e2e_node", "test/images/agnhost", "test/images/nonewprivs",
    "test/images/regression-issue-74839",
    "test/images/sample-device-plugin",
)  # fmt: skip


def build(tool: Tool, target: Path, *, work: Path, log: Path) -> Path:
    """Build one tool to `target`. `work` keeps the wrapper modules; DevClusterError names the log."""
    if not shell.has("go"):
        raise DevClusterError(
            tool.name,
            "there is no Go toolchain to build it with",
            hint=f"install Go {versions.GO} from https://go.dev/dl",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    if tool.module == "k8s.io/kubernetes":
        folder = _kubernetes_wrapper(work, log)
        flags = (
            _PLAIN if "/images/" in tool.package or "ginkgo" in tool.package else f"{_PLAIN} {_kubernetes_version()}"
        )
        verb = ["test", "-c"] if tool.name == "e2e.test" else ["build"]
        _go(tool, [*verb, "-trimpath", "-ldflags", flags, "-o", part, tool.package], cwd=folder, log=log)
    elif tool.module in ("go.etcd.io/etcd", "k8s.io/sample-apiserver"):
        folder = _etcd_wrapper(work, log) if "etcd" in tool.module else _sample_wrapper(work, log)
        _go(tool, ["build", "-trimpath", "-ldflags", _PLAIN, "-o", part, tool.package], cwd=folder, log=log)
    elif tool.module == "github.com/cri-o/cri-o":
        _crio(tool, part, work=work, log=log)
    else:
        _install(tool, part, work=work, log=log)
    part.chmod(0o755)
    return part.replace(target)


def module_folder(module: str, version: str) -> Path:
    """Where a module's sources are, downloaded if need be."""
    if not shell.has("go"):
        raise DevClusterError(
            f"sources of {module}", "there is no Go toolchain", hint="install Go from https://go.dev/dl"
        )
    return Path(_download(module, version)["Dir"])


def _install(tool: Tool, part: Path, *, work: Path, log: Path) -> None:
    """`go install` where the module allows it; runc needs cgo, for its seccomp profiles."""
    flags = _PLAIN
    if tool.module.startswith("github.com/containerd/containerd"):
        flags += f" -X {tool.module}/version.Version=v{tool.version}"
    runc = tool.name == "runc"
    target = work / "bin" / tool.name
    target.parent.mkdir(parents=True, exist_ok=True)
    extra = {"GOBIN": str(target.parent), "CGO_ENABLED": "1" if runc else "0"}
    tags = ["-tags", "seccomp"] if runc else []
    arguments = ["install", *tags, "-trimpath", "-ldflags", flags, f"{tool.package}@v{tool.version}"]
    _go(tool, arguments, cwd=Path("/"), log=log, env=extra)
    shutil.move(target, part)


def _crio(tool: Tool, part: Path, *, work: Path, log: Path) -> None:
    """With cgo for seccomp, and without what needs libraries of Debian's: signatures, and two kinds of storage."""
    folder = work / f"crio-{tool.version}"
    folder.mkdir(parents=True, exist_ok=True)
    sums = Path(_download(tool.module, tool.version)["Dir"]) / "go.sum"
    shutil.copyfile(sums, folder / "go.sum")
    (folder / "go.mod").write_text(f"module c\ngo {versions.GO}.0\nrequire {tool.module} v{tool.version}\n")
    tags = "seccomp containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper"
    arguments: list[str | Path] = [
        "build",
        "-mod=mod",
        "-trimpath",
        "-tags",
        tags,
        "-ldflags",
        _PLAIN,
        "-o",
        part,
        tool.package,
    ]
    _go(tool, arguments, cwd=folder, log=log, env={"CGO_ENABLED": "1"})


def _go(
    tool: Tool, arguments: Sequence[str | Path], *, cwd: Path, log: Path, env: dict[str, str] | None = None
) -> None:
    shell.logged(f"build {tool.name}", ["go", *arguments], log=log, cwd=cwd, env={"CGO_ENABLED": "0"} | (env or {}))


def _kubernetes_version() -> str:
    """Linker flags that make the binaries say their version: without it they say v0.0.0 and tests skip themselves."""
    major, minor, _ = versions.KUBERNETES.split(".")
    values = {
        "gitVersion": f"v{versions.KUBERNETES}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "2026-11-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())


def _kubernetes_wrapper(work: Path, log: Path) -> Path:
    go_mod = Path(_download("k8s.io/kubernetes", versions.KUBERNETES)["GoMod"]).read_text()
    content = kubernetes_go_mod(go_mod)
    imports = [f"k8s.io/kubernetes/{package}" for package in _KUBERNETES_PACKAGES] + [
        "github.com/onsi/ginkgo/v2/ginkgo"
    ]
    return _wrapper(work / f"kubernetes-{versions.KUBERNETES}", content, imports, log)


def kubernetes_go_mod(upstream: str) -> str:
    """The wrapper's go.mod, from upstream's: its staging modules (v0.0.0 there) replaced by their released versions."""
    go_line = re.search(r"^go \S+$", upstream, re.MULTILINE)
    staging = re.findall(r"^\s*(k8s\.io/[\w-]+) v0\.0\.0$", upstream, re.MULTILINE)
    lines = [
        "module controlplane",
        go_line.group() if go_line else f"go {versions.GO}.0",
        f"godebug default=go{versions.GO}",
    ]
    lines.append(f"require k8s.io/kubernetes v{versions.KUBERNETES}")
    lines += [f"replace {module} => {module} v{versions.KUBERNETES_STAGING}" for module in staging]
    return "\n".join(lines) + "\n"


def _etcd_wrapper(work: Path, log: Path) -> Path:
    modules = [f"go.etcd.io/etcd/{name}/v3" for name in _ETCD_MODULES]
    required = "".join(f"\t{module} v{versions.ETCD}\n" for module in modules)
    return _wrapper(
        work / f"etcd-{versions.ETCD}", f"module e\ngo {versions.GO}.0\nrequire (\n{required})\n", modules, log
    )


def _sample_wrapper(work: Path, log: Path) -> Path:
    module = "k8s.io/sample-apiserver"
    content = f"module s\ngo {versions.GO}.0\nrequire {module} v{versions.KUBERNETES_STAGING}\n"
    return _wrapper(work / f"sample-{versions.KUBERNETES_STAGING}", content, [module], log)


def _wrapper(folder: Path, go_mod: str, imports: list[str], log: Path) -> Path:
    """A module that only requires others; tidied once."""
    tidied = folder / ".tidied"
    wanted = "\n".join([go_mod, *imports])
    if tidied.exists() and tidied.read_text() == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(go_mod)
    lines = "".join(f'\t_ "{package}"\n' for package in imports)
    (folder / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\nimport (\n{lines})\n")
    shell.logged(f"modules of {folder.name}", ["go", "mod", "tidy"], log=log, cwd=folder)
    tidied.write_text(wanted)
    return folder


def _download(module: str, version: str) -> dict[str, str]:
    out = shell.run(f"download {module}", ["go", "mod", "download", "-json", f"{module}@v{version}"], timeout=600)
    found: dict[str, str] = json.loads(out)
    return found
