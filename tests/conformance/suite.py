"""Run the genuine e2e suite against a cluster and keep each test's result; compare two such runs.

    python tests/conformance/suite.py run --focus '\\[NodeConformance\\]' --out build/ours.tsv
    python tests/conformance/suite.py run --names tests/conformance/smoke.txt
    python tests/conformance/suite.py compare build/ours.tsv build/genuine.tsv

A results file has a line a test: `yes|no`, seconds, name. `run` needs KUBECONFIG, and e2e.test, ginkgo and
kubectl on PATH; with --serial the Serial and Disruptive tests run afterwards, one at a time. Exit 1 if one failed.
"""

import argparse
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ALONE = r"\[Serial\]|\[Disruptive\]"
_PREFIX = re.compile(r"^\[It\] ")
# ginkgo appends all labels of a test to its name; that of its SIG comes alone when there is no other
_LABELS = re.compile(r" \[([^][]*(, [^][]*)+|sig-[^][]*)\]$")


@dataclasses.dataclass(frozen=True, order=True)
class Result:
    name: str
    passed: bool
    seconds: float
    message: str = ""


def read_junit(path: Path) -> list[Result]:
    """The tests that ran, without skipped ones and ginkgo's own suite nodes."""
    results = []
    for case in ET.parse(path).getroot().iter("testcase"):
        name = case.get("name", "")
        if not _PREFIX.match(name) or case.get("status") in ("skipped", "pending"):
            continue
        failure = next((case.find(tag) for tag in ("failure", "error") if case.find(tag) is not None), None)
        message = "" if failure is None else (failure.get("message") or failure.text or "failed").strip()
        name = _LABELS.sub("", _PREFIX.sub("", name))
        results.append(Result(name, failure is None, float(case.get("time", 0)), message))
    return sorted(results)


def write(path: Path, results: list[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{'yes' if r.passed else 'no'}\t{r.seconds:.1f}\t{r.name}\n" for r in sorted(results)))


def read(path: Path) -> dict[str, Result]:
    rows = (line.split("\t", 2) for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: Result(name, passed == "yes", float(seconds)) for passed, seconds, name in rows}


def read_names(path: Path) -> list[str]:
    """Whole names of tests, one a line; empty lines and those that begin with # say nothing."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _ginkgo(options: argparse.Namespace, *, skip: str, focus: str, procs: int, folder: Path) -> list[Result]:
    report = folder / f"junit-{procs}.xml"
    command = [
        "ginkgo", "run", f"--procs={procs}", "--no-color", "--succinct", "--keep-going",
        f"--timeout={options.minutes}m", f"--output-dir={folder}", f"--junit-report={report.name}",
        f"--focus={focus}", *([f"--skip={skip}"] if skip else []),
        shutil.which("e2e.test") or "e2e.test", "--",
        f"--kubeconfig={os.environ['KUBECONFIG']}", "--provider=local", f"--num-nodes={options.nodes}",
        "--allowed-not-ready-nodes=0", "--node-os-distro=debian", "--dump-logs-on-failure=false",
    ]  # fmt: skip
    log = folder / f"ginkgo-{procs}.log"
    with log.open("w") as output:
        subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if not report.exists():
        raise SystemExit(
            "ginkgo wrote no report; the end of its output:\n" + "\n".join(log.read_text().split("\n")[-30:])
        )
    return read_junit(report)


def run(options: argparse.Namespace) -> int:
    """Run what `--focus` and `--skip` choose, or the tests that `--names` lists; a summary on standard output."""
    folder = Path(options.logs or tempfile.mkdtemp(prefix="conformance-"))
    folder.mkdir(parents=True, exist_ok=True)
    names = read_names(Path(options.names)) if options.names else []
    focus = "|".join(map(re.escape, names)) or options.focus
    began = time.monotonic()
    print(f"running {options.names or focus} with {options.procs} processes; logs in {folder}", flush=True)
    skips = [options.skip] if options.skip else []
    results = _ginkgo(options, skip="|".join([*skips, ALONE]), focus=focus, procs=options.procs, folder=folder)
    if options.serial:
        # Both patterns in either order: ginkgo joins several --focus with "or", and Go's regexp has no look-ahead.
        both = f"({focus}).*({ALONE})|({ALONE}).*({focus})"
        results += _ginkgo(options, skip="|".join(skips), focus=both, procs=1, folder=folder)
    ran = {result.name for result in results}
    results += [Result(name, False, 0.0, "the suite has no such test") for name in names if name not in ran]
    write(Path(options.out), results)
    failed = [r for r in results if not r.passed]
    for result in failed:
        print(f"FAILED {result.name}\n       {result.message[:600]}")
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed, {time.monotonic() - began:.0f} s: {options.out}")
    return 1 if failed or not results else 0


def compare(options: argparse.Namespace) -> int:
    """A Markdown table of two runs: counts over what the first ran, then each test whose outcome differs."""
    ours, genuine = read(Path(options.ours)), read(Path(options.genuine))
    genuine = {name: result for name, result in genuine.items() if name in ours}
    both = [n for n in genuine if ours[n].passed and genuine[n].passed]
    seconds = [sum(run[n].seconds for n in both) for run in (ours, genuine)]
    print("| | ours | genuine |\n|---|---|---|")
    print(f"| tests run | {len(ours)} | {len(genuine)} |")
    print(f"| passed | {sum(r.passed for r in ours.values())} | {sum(r.passed for r in genuine.values())} |")
    print(f"| seconds over the {len(both)} that pass in both | {seconds[0]:.0f} | {seconds[1]:.0f} |")
    shown = [n for n in sorted(ours) if options.all or n not in genuine or ours[n].passed != genuine[n].passed]
    if shown:
        print("\n| test | ours | s | genuine | s |\n|---|---|---|---|---|")
    for name in shown:
        cells = []
        for results in (ours, genuine):
            result = results.get(name)
            cells += ["-", "-"] if result is None else ["pass" if result.passed else "FAIL", f"{result.seconds:.1f}"]
        print("| " + " | ".join([name.replace("|", r"\|"), *cells]) + " |")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--focus", default=r"\[Conformance\]")
    runner.add_argument("--names", default="", help="a file with names of tests, instead of --focus")
    runner.add_argument("--skip", default="")
    runner.add_argument("--procs", type=int, default=4)
    runner.add_argument("--nodes", type=int, default=2)
    runner.add_argument("--minutes", type=int, default=120)
    runner.add_argument("--serial", action="store_true", help="run the Serial and Disruptive ones too, afterwards")
    runner.add_argument("--out", default="build/conformance.tsv")
    runner.add_argument("--logs", default="")
    runner.set_defaults(act=run)
    comparer = commands.add_parser("compare")
    comparer.add_argument("ours")
    comparer.add_argument("genuine")
    comparer.add_argument("--all", action="store_true", help="a line for every test")
    comparer.set_defaults(act=compare)
    options = parser.parse_args()
    return int(options.act(options))


if __name__ == "__main__":
    sys.exit(main())
