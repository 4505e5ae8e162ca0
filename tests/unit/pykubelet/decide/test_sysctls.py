"""Which sysctls a Pod may set."""

import pytest

from pykubelet.decide import sysctls
from pykubelet.model.pod import Pod, PodSecurityContext, PodSpec, Sysctl


def pod(*names: str, **spec: bool) -> Pod:
    asked = tuple(Sysctl(name=name, value="1") for name in names)
    return Pod(spec=PodSpec(security_context=PodSecurityContext(sysctls=asked), **spec))


@pytest.mark.parametrize(
    ("asking", "unsafe", "message"),
    [
        pytest.param(pod(), (), None, id="none"),
        pytest.param(pod("net.ipv4.tcp_syncookies"), (), None, id="a safe one"),
        pytest.param(pod("kernel/shm_rmid_forced"), (), None, id="written with slashes"),
        pytest.param(pod("kernel.msgmax"), (), '"kernel.msgmax" not allowlisted', id="an unsafe one"),
        pytest.param(pod("kernel.msgmax"), ("kernel.msgmax",), None, id="that the node allows"),
        pytest.param(pod("kernel.msgmax"), ("kernel.msg*",), None, id="by a pattern"),
        pytest.param(pod("net.core.somaxconn"), ("kernel.msg*",), '"net.core.somaxconn" not allowlisted', id="another"),
        pytest.param(
            pod("net.ipv4.tcp_syncookies", "kernel.sem"), (), '"kernel.sem" not allowlisted', id="one of two is enough"
        ),
        pytest.param(
            pod("net.ipv4.tcp_syncookies", host_network=True),
            (),
            '"net.ipv4.tcp_syncookies" not allowed with host Net enabled',
            id="that would be the node's own",
        ),
        pytest.param(
            pod("kernel.msgmax", host_ipc=True),
            ("kernel.msg*",),
            '"kernel.msgmax" not allowed with host IPC enabled',
            id="the node's own by a pattern",
        ),
        pytest.param(
            pod("user.max_user_namespaces"),
            ("user.*",),
            '"user.max_user_namespaces" not allowed with host User enabled',
            id="with the node's user ids",
        ),
        pytest.param(
            pod("user.max_user_namespaces", host_users=False), ("user.*",), None, id="with user ids of its own"
        ),
    ],
)
def test_sysctls(asking: Pod, unsafe: tuple[str, ...], message: str | None) -> None:
    refused = sysctls.refused(asking, unsafe)
    assert (refused.message if refused else None) == (f"forbidden sysctl: {message}" if message else None)
    assert refused is None or refused.reason == "SysctlForbidden"
