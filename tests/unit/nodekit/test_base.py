"""Field names as the API spells them."""

import pytest

from nodekit.objects import base


@pytest.mark.parametrize(
    ("field", "name"),
    [
        pytest.param("restart_policy", "restartPolicy", id="plain words are camel case"),
        pytest.param("pod_ips", "podIPs", id="an abbreviation keeps its plural s small"),
        pytest.param("host_ip", "hostIP", id="an abbreviation at the end is in capitals"),
        pytest.param("id", "id", id="an abbreviation that opens the field is small"),
        pytest.param("set_hostname_as_fqdn", "setHostnameAsFQDN", id="several words before it"),
        pytest.param("continue_", "continue", id="a trailing underscore avoids a Python keyword"),
    ],
)
def test_api_name(field: str, name: str) -> None:
    assert base.api_name(field) == name
