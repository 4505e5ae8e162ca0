"""The conformance runner: which tests ran, under which names, and what is compared."""

import argparse
import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "conformance"
_SPEC = importlib.util.spec_from_file_location("suite", FOLDER / "suite.py")
suite = sys.modules["suite"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(suite)

SMOKE = FOLDER / "smoke.txt"
DNS = "[sig-network] DNS should provide DNS for the cluster [Conformance]"


def case(name: str, *, status: str = "passed", inside: str = "") -> str:
    return f'<testcase name="{name}" status="{status}" time="1.5">{inside}</testcase>'


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param(case(f"[It] {DNS} [sig-network, Conformance]"), [(DNS, True)], id="labels are no part of a name"),
        pytest.param(case("[It] a b [sig-network]"), [("a b", True)], id="nor is that of its SIG alone"),
        pytest.param(case(f"[It] {DNS}"), [(DNS, True)], id="a mark in a name is no list of labels"),
        pytest.param(case(f"[It] {DNS}", inside='<failure message="no"/>'), [(DNS, False)], id="a failure"),
        pytest.param(case(f"[It] {DNS}", status="skipped"), [], id="a skipped test did not run"),
        pytest.param(case("[SynchronizedBeforeSuite]"), [], id="what the suite does for itself is no test"),
    ],
)
def test_a_report_is_read(written: str, read: list[tuple[str, bool]], tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(f"<testsuites><testsuite>{written}</testsuite></testsuites>")
    assert [(result.name, result.passed) for result in suite.read_junit(report)] == read


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    results = [suite.Result("a [x]", True, 1.5), suite.Result("b\u00e4", False, 0.0)]
    suite.write(tmp_path / "results.tsv", results)
    assert list(suite.read(tmp_path / "results.tsv").values()) == results


def test_a_comparison_counts_what_ours_ran_and_names_what_differs(tmp_path: Path, capsys) -> None:
    suite.write(tmp_path / "ours", [suite.Result("a", True, 1.0), suite.Result("b", False, 2.0)])
    suite.write(tmp_path / "theirs", [suite.Result(name, True, 3.0) for name in ("a", "b", "c")])
    suite.compare(argparse.Namespace(ours=tmp_path / "ours", genuine=tmp_path / "theirs", all=False))
    said = capsys.readouterr().out
    assert "| passed | 1 | 2 |" in said
    assert "| seconds over the 1 that pass in both | 1 | 3 |" in said
    assert [line for line in said.splitlines() if "FAIL" in line] == ["| b | FAIL | 2.0 | pass | 3.0 |"]


def test_the_smoke_list_has_whole_names_once_each() -> None:
    names = suite.read_names(SMOKE)
    assert len(names) == len(set(names))
    assert all(name.startswith("[sig-") and "[Conformance]" in name for name in names)
