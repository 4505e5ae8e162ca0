"""The wrapper module that lets k8s.io/kubernetes be built."""

from devcluster import gobuild, versions

UPSTREAM = """module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
\tgithub.com/spf13/cobra v1.9.1
\tk8s.io/api v0.0.0
\tk8s.io/klog/v2 v2.130.1
\tk8s.io/sample-apiserver v0.0.0
)
"""


def test_staging_modules_are_replaced_by_their_released_versions_and_no_others():
    lines = gobuild.kubernetes_go_mod(UPSTREAM).splitlines()
    assert "go 1.26.0" in lines
    assert f"require k8s.io/kubernetes v{versions.KUBERNETES}" in lines
    replaced = [line for line in lines if line.startswith("replace")]
    staging = versions.KUBERNETES_STAGING
    assert replaced == [
        f"replace k8s.io/api => k8s.io/api v{staging}",
        f"replace k8s.io/sample-apiserver => k8s.io/sample-apiserver v{staging}",
    ]


def test_the_staging_version_follows_from_the_release():
    assert versions.KUBERNETES.split(".")[1:] == versions.KUBERNETES_STAGING.split(".")[1:]
