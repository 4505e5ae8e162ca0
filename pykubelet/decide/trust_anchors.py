"""Which root certificates a clusterTrustBundle projection gives. No I/O.

Source: pkg/kubelet/clustertrustbundle.
"""

import hashlib
from collections.abc import Iterable, Mapping

from pykubelet.decide import pem
from pykubelet.decide.volume_content import ContentError
from pykubelet.model.certificates import ClusterTrustBundle
from pykubelet.model.volume import ClusterTrustBundleProjection, LabelSelector, LabelSelectorRequirement


def of(wanted: ClusterTrustBundleProjection, bundles: Iterable[ClusterTrustBundle]) -> bytes:
    """PEM certificates, each once, of the bundle named or of all that the signer and labels select.

    Their order says nothing, so that nobody relies on it. ContentError when none matches and it is not optional.
    """
    if wanted.name is not None:
        chosen = [bundle for bundle in bundles if bundle.metadata.name == wanted.name]
        missing = f'while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "{wanted.name}" not found'
    elif wanted.signer_name is not None:
        chosen = [
            bundle
            for bundle in bundles
            if bundle.spec.signer_name == wanted.signer_name and _selects(wanted.label_selector, bundle.metadata.labels)
        ]
        missing = "combination of signerName and labelSelector matched zero ClusterTrustBundles"
    else:
        raise ContentError("ClusterTrustBundle projection requires either name or signerName to be set")
    if not chosen and not wanted.optional:
        raise ContentError(missing)
    anchors = {block for bundle in chosen for block in pem.blocks(bundle.spec.trust_bundle)}
    return pem.certificates(sorted(anchors, key=lambda der: hashlib.sha256(der).digest()))


def _selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """No selector selects nothing, an empty one everything."""
    if selector is None:
        return False
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _meets(requirement, labels) for requirement in selector.match_expressions
    )


def _meets(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            raise ContentError(
                f'while parsing label selector: "{requirement.operator}" is not a valid label selector operator'
            )
