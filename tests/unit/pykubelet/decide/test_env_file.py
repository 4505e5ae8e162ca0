"""Environment files, as strict as the genuine kubelet reads them."""

import pytest

from pykubelet.decide import env_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("K='v'", "v", id="a value in quotes"),
        pytest.param("# K='no'\n\n  K='v' # why\nK='later'", "v", id="comments and blank lines are skipped"),
        pytest.param("A='1'\nK='one\n  two'\n", "one\n  two", id="a value of several lines"),
        pytest.param("A='K=x\nK=y'\nK='v'", "v", id="a name inside another's value is none"),
        pytest.param("K= 'v'", "", id="a space after the sign makes it empty, as in a shell"),
        pytest.param("K='$HOME \\n'", "$HOME \\n", id="nothing is expanded"),
        pytest.param("A='1'", "", id="not there"),
    ],
)
def test_value(text: str, expected: str) -> None:
    assert env_file.value(text, "K") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("K", "line 1: missing '='", id="no sign"),
        pytest.param("A='1'\nK ='v'", "line 2: whitespace before '='", id="a space before the sign"),
        pytest.param("='v'", "line 1: empty variable name", id="no name"),
        pytest.param('K="v"', "line 1: value must be enclosed in single quotes", id="other quotes"),
        pytest.param("K='v'x", "line 1: unexpected content", id="more after the value"),
        pytest.param("A='1'\nK='v\nw", "starting at line 2: unclosed", id="no end"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        env_file.value(text, "K")
