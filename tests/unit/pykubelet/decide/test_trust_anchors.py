"""Which roots a clusterTrustBundle projection gives."""

import pytest

from nodekit.objects.meta import ObjectMeta
from pykubelet.decide import pem, trust_anchors
from pykubelet.decide.volume_content import ContentError
from pykubelet.model.certificates import ClusterTrustBundle, ClusterTrustBundleSpec
from pykubelet.model.volume import ClusterTrustBundleProjection, LabelSelector, LabelSelectorRequirement


def _bundle(name: str, *roots: bytes, signer: str = "", labels: dict[str, str] | None = None) -> ClusterTrustBundle:
    text = "a remark\n" + pem.certificates(roots).decode().replace("-\nZ", "-\nHeader: x\n\nZ")
    return ClusterTrustBundle(
        metadata=ObjectMeta(name=name, labels=labels or {}),
        spec=ClusterTrustBundleSpec(signer_name=signer, trust_bundle=text),
    )


BUNDLES = (
    _bundle("plain", b"root 1", b"root 2"),
    _bundle("ex:a", b"root 3" * 20, signer="ex/a", labels={"live": "yes"}),
    _bundle("ex:b", b"root 3" * 20, b"root 4", signer="ex/a", labels={"live": "no"}),
    _bundle("ey:a", b"root 5", signer="ey/a", labels={"live": "yes"}),
)
SOME = LabelSelector(match_labels={"live": "yes"})
EXCEPT = LabelSelector(match_expressions=(LabelSelectorRequirement(key="live", operator="NotIn", values=("yes",)),))


@pytest.mark.parametrize(
    ("wanted", "roots"),
    [
        pytest.param({"name": "plain"}, {b"root 1", b"root 2"}, id="one bundle by its name"),
        pytest.param({"signer_name": "ex/a", "label_selector": SOME}, {b"root 3" * 20}, id="a signer's, by label"),
        pytest.param(
            {"signer_name": "ex/a", "label_selector": LabelSelector()},
            {b"root 3" * 20, b"root 4"},
            id="an empty selector takes all of a signer's, each root once",
        ),
        pytest.param(
            {"signer_name": "ex/a", "label_selector": EXCEPT}, {b"root 3" * 20, b"root 4"}, id="by an expression"
        ),
        pytest.param({"signer_name": "ex/a", "optional": True}, set(), id="no selector takes nothing"),
        pytest.param({"name": "gone", "optional": True}, set(), id="an optional one may be missing"),
    ],
)
def test_roots(wanted: dict[str, object], roots: set[bytes]) -> None:
    found = trust_anchors.of(ClusterTrustBundleProjection(path="ca.pem", **wanted), BUNDLES)  # type: ignore[arg-type]
    assert set(pem.blocks(found.decode())) == roots
    assert len(pem.blocks(found.decode())) == len(roots)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        pytest.param({"name": "gone"}, '"gone" not found', id="a named bundle that is not there"),
        pytest.param({"signer_name": "ez"}, "matched zero ClusterTrustBundles", id="a signer without bundles"),
        pytest.param({}, "requires either name or signerName", id="neither name nor signer"),
    ],
)
def test_what_is_missing_is_said(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(ContentError, match=message):
        trust_anchors.of(ClusterTrustBundleProjection(path="ca.pem", **wanted), BUNDLES)  # type: ignore[arg-type]
