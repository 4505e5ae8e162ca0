"""Which paths lead anywhere, and which lead somewhere else."""

import pytest

from pykubelet.serve import paths

FOUND = paths.of(["/healthz", "/healthz/ping", "/pods", "/pods/", "/stats/summary", "/logs/{path:.*}", "/exec/{a}/{b}"])


@pytest.mark.parametrize(
    ("path", "known", "elsewhere"),
    [
        pytest.param("/healthz", True, None, id="an exact one"),
        pytest.param("/healthz/nothing", False, None, id="nothing is below an exact one"),
        pytest.param("/pods/x", True, None, id="below what has both forms"),
        pytest.param("/exec", True, None, id="the top of what varies"),
        pytest.param("/exec/x", True, None, id="a part of what varies"),
        pytest.param("/executable", False, None, id="another word"),
        pytest.param("/stats", False, "/stats/", id="a folder without its slash"),
        pytest.param("/stats/", True, None, id="a folder"),
        pytest.param("/logs/a/b", True, None, id="below a folder"),
        pytest.param("/runningpods", False, None, id="a folder that is not served"),
        pytest.param("//pods", False, "/pods", id="two slashes"),
        pytest.param("/logs/../../etc/passwd", True, "/etc/passwd", id="a way out"),
        pytest.param("/logs/..", True, "/", id="a way to the top"),
        pytest.param("/logs/./x/", True, "/logs/x/", id="a slash at the end stays"),
        pytest.param("/logs/%2e%2e/x", True, None, id="what is encoded is a name"),
        pytest.param("", False, "/", id="nothing at all"),
        pytest.param("/", False, None, id="the top"),
    ],
)
def test_a_path_leads_here_elsewhere_or_nowhere(path: str, known: bool, elsewhere: str | None) -> None:
    assert (FOUND.known(path), FOUND.elsewhere(path)) == (known, elsewhere)
