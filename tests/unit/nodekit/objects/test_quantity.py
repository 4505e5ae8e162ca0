"""Quantities print as the genuine ones do, and lose nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodekit.objects import quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("1.5", "1500m", id="a fraction becomes milli"),
        pytest.param("1.5Gi", "1536Mi", id="a binary fraction moves to the next smaller suffix"),
        pytest.param("0.5Ki", "512", id="a binary amount under 1024 is shown in decimal"),
        pytest.param("1025Ki", "1025Ki", id="an odd binary amount keeps its suffix"),
        pytest.param("1024Gi", "1Ti", id="a binary amount takes the largest suffix"),
        pytest.param("9Ei", "9223372036854775807", id="a binary amount is capped at the largest int64"),
        pytest.param("1000k", "1M", id="a decimal amount takes the largest suffix"),
        pytest.param("0.1n", "1n", id="what is finer than a nano is rounded up"),
        pytest.param("-0.1n", "-1n", id="negative amounts are rounded away from zero"),
        pytest.param("1e3", "1e3", id="an exponent stays an exponent"),
        pytest.param("12e-7", "1200e-9", id="exponents are multiples of three"),
        pytest.param("1E", "1E", id="a lone E is exa, not an exponent"),
        pytest.param("0Mi", "0", id="zero has no suffix"),
        pytest.param("1.G", "1G", id="a dot without digits is allowed"),
        pytest.param(".5", "500m", id="a fraction without a whole part is allowed"),
        pytest.param("+5", "5", id="a plus is dropped"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert str(quantity.parse(text)) == canonical


@pytest.mark.parametrize("text", ["", ".", "1x", "Gi", "1 Gi", "--1", "1e", "1.2.3", "1KI", "1e999999999", "NaN"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|suffix|exponent"):
        quantity.parse(text)


@given(st.integers(-(2**70), 2**70), st.sampled_from(["n", "u", "m", "", "k", "M", "e3", "e-6"]))
def test_printing_loses_nothing_and_is_stable(amount: int, suffix: str) -> None:
    first = quantity.parse(f"{amount}{suffix}")
    again = quantity.parse(str(first))
    assert again == first
    assert str(again) == str(first)


@given(st.integers(0, 2**62))
def test_bytes_print_and_parse_back(amount: int) -> None:
    assert quantity.parse(str(quantity.Quantity.of_bytes(amount))).value == amount


def test_values_are_rounded_away_from_zero() -> None:
    assert quantity.parse("1500m").value == 2
    assert quantity.parse("-1500m").value == -2
    assert quantity.parse("1u").milli == 1
