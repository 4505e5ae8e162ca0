"""What the Debian package says of itself."""

import pytest

from deploy.deb import build


@pytest.mark.parametrize(
    ("names", "needs"),
    [
        pytest.param([], "2.0", id="nothing compiled runs anywhere"),
        pytest.param(["idna-3.20-py3-none-any.whl"], "2.0", id="pure Python runs anywhere"),
        pytest.param(["a-1-cp311-manylinux2014_x86_64.manylinux_2_28_x86_64.whl"], "2.17", id="the oldest of a wheel"),
        pytest.param(
            ["a-1-cp311-cp311-manylinux_2_17_x86_64.whl", "b-1-cp311-abi3-manylinux_2_34_x86_64.whl"],
            "2.34",
            id="the newest of all wheels",
        ),
        pytest.param(["a-1-cp311-cp311-manylinux1_x86_64.whl"], "2.5", id="an old name of a platform"),
    ],
)
def test_the_package_asks_for_the_glibc_that_its_wheels_need(names: list[str], needs: str) -> None:
    assert build.glibc(names) == needs


def test_what_it_puts_below_etc_is_the_administrators() -> None:
    assert {place for place in build.PLACES.values() if place.startswith("etc/")} == {
        "etc/default/pyproxy",
        "etc/modules-load.d/pykubelet.conf",
        "etc/sysctl.d/90-pykubelet.conf",
    }
    assert all((build.REPOSITORY / source).is_file() for source in build.PLACES)


def test_installing_it_takes_no_advertised_route_away() -> None:
    lines = (build.REPOSITORY / "systemd/sysctl.conf").read_text().splitlines()
    at_once = [line for line in lines if not line.startswith("#")]
    assert "net.ipv4.ip_forward = 1" in at_once
    assert not [line for line in at_once if line.startswith("net.ipv6.")]
