"""All tests, for `make check`; the last line is how many passed and failed.

The unit tests, the fuzz seeds and the program that the system tests run are built with address and
undefined-behaviour sanitizers; tests that measure memory or speed use the plain build.
With words, only these system tests are run: tests/check.py tests/system/test_learn.py
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SAN = "build/san"
OTHER_TESTS = ["tests/sieve-rs", "tests/unit/vectors"]
# System tests that run side by side: parts of about the same length, and the rest is another.
PARTS = ({"test_sieve", "test_network", "test_learn", "test_administrators", "test_hostile"},
         {"test_crash", "test_spool", "test_watch", "test_watch_spool"},
         {"test_stalwart_source", "test_fake_stalwart"})
# Histories: many with the plain build, and some with the sanitizers, under which watch is slow.
SIM_SEEDS = {"build": "1:6000", SAN: "1:600"}
# GLib keeps type tables for ever; what we leak ourselves is still found.
SANITIZED = {"ASAN_OPTIONS": "abort_on_error=0:exitcode=99",
             "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


class Counts(NamedTuple):
    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...] = ()  # their names, said again at the end


def total(counts: list[Counts]) -> Counts:
    """All of them as one."""
    return Counts(sum(each.passed for each in counts), sum(each.failed for each in counts),
                  sum(each.skipped for each in counts),
                  tuple(name for each in counts for name in each.failures))


def make(*words: str) -> None:
    subprocess.run(["make", "-s", "-j2", *words], cwd=ROOT, check=True)


def built(folder: str, sources: str) -> list[Path]:
    """The sanitized programs that were made of these sources."""
    root = ROOT / "tests" / folder
    return [ROOT / SAN / folder / source.relative_to(root).with_suffix("")
            for source in sorted(root.glob(sources))]


# One line of a cmocka program's TAP. A skip is "ok N # SKIP name", from cmocka 1.1.5 "not ok".
TAP = re.compile(r"(?P<bad>not )?ok \d+(?P<skip> # SKIP)?(?: -)? (?P<name>.*)")


def run_unit(binary: Path) -> Counts:
    """One cmocka program. A test that is skipped has printed the reason: "SKIPPED: reason"."""
    result = subprocess.run([binary], cwd=ROOT, capture_output=True, text=True,
                            env={**os.environ, **SANITIZED, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
    passed, failures, skipped, reason = 0, [], 0, "no reason given"
    for line in result.stdout.splitlines():
        if line.startswith("SKIPPED: "):
            reason = line.removeprefix("SKIPPED: ")
        elif match := TAP.fullmatch(line):
            if match["skip"]:
                print(f"{binary.name}: NOT TESTED: {match['name']}: {reason}")
                skipped, reason = skipped + 1, "no reason given"
            elif match["bad"]:
                failures.append(f"{binary.name}: {match['name']}")
            else:
                passed += 1
    if result.returncode != 0 and not failures:
        failures.append(f"{binary.name} did not come to its end")
    if passed == 0 and not failures:
        failures.append(f"{binary.name} tested nothing")
    print(f"{binary.name}: {passed} passed, {len(failures)} failed", flush=True)
    if failures:
        print(result.stdout, result.stderr, sep="\n", flush=True)
    return Counts(passed, len(failures), skipped, tuple(failures))


def run_seeds() -> Counts:
    """Every seed of every fuzz target, once."""
    passed, failures = 0, []
    for target in built("fuzz", "fuzz_*.c"):
        seeds = sorted((ROOT / "tests/fuzz/seeds" / target.name.removeprefix("fuzz_")).iterdir())
        result = subprocess.run([target, *seeds], cwd=ROOT, capture_output=True, text=True,
                                env={**os.environ, **SANITIZED})
        print(f"{target.name}: {len(seeds)} seeds", flush=True)
        if result.returncode:
            failures.append(target.name)
            print(result.stdout, result.stderr, sep="\n", flush=True)
        else:
            passed += 1
    return Counts(passed, len(failures), 0, tuple(failures))


def run_sim(output: IO[str]) -> Counts:
    """Histories of fixed ranges of seeds; make sim SEEDS=... for more. A test for each build."""
    failures = []
    for build, seeds in SIM_SEEDS.items():
        result = subprocess.run([ROOT / build / "sim/sim", "-j", "1", seeds], cwd=ROOT,
                                capture_output=True, text=True, env={**os.environ, **SANITIZED})
        last = result.stdout.splitlines()[-1] if result.stdout else "nothing"
        print(f"{build}/sim: {last}", file=output)
        if result.returncode:
            failures.append(f"{build}/sim/sim {seeds}")
            print(result.stdout, result.stderr, sep="\n", file=output)
    return Counts(len(SIM_SEEDS) - len(failures), len(failures), 0, tuple(failures))


def parts() -> list[list[str]]:
    """The system tests; they mostly wait for servers."""
    tests = (ROOT / "tests/system").glob("test_*.py")
    names = sorted(str(path.relative_to(ROOT)) for path in tests)
    found = [[name for name in names if Path(name).stem in part] for part in PARTS]
    return [*found, [name for name in names if not any(name in part for part in found)]
            + OTHER_TESTS]


def run_pytest(words: list[str], output: IO[str] | None) -> Counts:
    """One pytest, which prints the reason of each skip to output (None: ours)."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", "--durations=10",
                        f"--junitxml={report.name}", *words],
                       cwd=ROOT, check=False, stdout=output, stderr=output,
                       env={**os.environ, **SANITIZED, "LEARNSPOOL": str(ROOT / SAN / "learnspool"),
                            "LEARNSPOOL_PLAIN": str(ROOT / "build/learnspool")})
        suite = ElementTree.parse(report.name).getroot().find("testsuite")
    assert suite is not None
    cases = list(suite.iter("testcase"))
    failures = [f"{case.get('classname')}: {case.get('name')}" for case in cases
                if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(failures) - skipped
    if not cases:
        failures = [f"no test in {' '.join(words)}"]
    return Counts(passed, len(failures), skipped, tuple(failures))


def run_system(words: list[str]) -> list[Counts]:
    """The system tests: those that were asked for, or all, a process for each part, and beside
    them the simulator, since they mostly wait."""
    if words:
        return [run_pytest(words, None)]
    first, *others = parts()
    jobs = [partial(run_pytest, part) for part in others] + [run_sim]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(jobs)) as pool:
        outputs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in jobs]
        beside = [pool.submit(job, output) for job, output in zip(jobs, outputs)]
        counts = [run_pytest(first, None), *(run.result() for run in beside)]
        for output in outputs:
            output.seek(0)
            print(output.read(), flush=True)
    return counts


def main() -> int:
    os.chdir(ROOT)
    make("all", "sim-program")
    make("all", "units", "fuzz-seeds", "sim-program", f"BUILD={SAN}", "SAN=address,undefined",
         "CFLAGS=-O1 -g")
    counts = [run_unit(binary) for binary in built("unit", "*/test_*.c")]
    counts.append(run_seeds())
    counts += run_system(sys.argv[1:])
    passed, failed, skipped, failures = total(counts)
    for name in failures:
        print(f"FAILED {name}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
