"""All tests, for `make check`; the last line is how many passed and failed.

The unit tests, the fuzz seeds and the program that the system tests run are built with address and
undefined-behaviour sanitizers; tests that measure memory or speed use the plain build.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAN = "build/san"
PYTEST = ["tests/system", "tests/sieve-rs", "tests/unit/vectors"]
# GLib keeps type tables for ever; what we leak ourselves is still found.
SANITIZED = {"ASAN_OPTIONS": "abort_on_error=0:exitcode=99",
             "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def make(*words: str) -> None:
    subprocess.run(["make", "-s", "-j2", *words], cwd=ROOT, check=True)


def built(folder: str, sources: str) -> list[Path]:
    """The sanitized programs that were made of these sources."""
    return [ROOT / SAN / folder / source.stem
            for source in sorted((ROOT / "tests" / folder).glob(sources))]


def run_unit(binary: Path) -> tuple[int, int]:
    """One cmocka program: how many of its tests passed and failed."""
    result = subprocess.run([binary], cwd=ROOT, capture_output=True, text=True,
                            env={**os.environ, **SANITIZED, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
    lines = result.stdout.splitlines()
    passed = sum(line.startswith("ok ") for line in lines)
    failed = sum(line.startswith("not ok ") for line in lines)
    if result.returncode != 0 and failed == 0:
        failed = 1  # it did not come to its end
    if passed + failed == 0:
        failed = 1  # a program without tests tests nothing
    print(f"{binary.name}: {passed} passed, {failed} failed", flush=True)
    if failed:
        print(result.stdout, result.stderr, sep="\n", flush=True)
    return passed, failed


def run_seeds() -> tuple[int, int]:
    """Every seed of every fuzz target, once."""
    passed = failed = 0
    for target in built("fuzz", "fuzz_*.c"):
        seeds = sorted((ROOT / "tests/fuzz/seeds" / target.name.removeprefix("fuzz_")).iterdir())
        result = subprocess.run([target, *seeds], cwd=ROOT, capture_output=True, text=True,
                                env={**os.environ, **SANITIZED})
        passed, failed = passed + (result.returncode == 0), failed + (result.returncode != 0)
        print(f"{target.name}: {len(seeds)} seeds", flush=True)
        if result.returncode:
            print(result.stdout, result.stderr, sep="\n", flush=True)
    return passed, failed


def run_system(words: list[str]) -> tuple[int, int, int]:
    """The system tests: passed, failed, skipped."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", "--durations=10",
                        f"--junitxml={report.name}", *(words or PYTEST)],
                       cwd=ROOT, check=False,
                       env={**os.environ, **SANITIZED, "LEARNSPOOL": str(ROOT / SAN / "learnspool"),
                            "LEARNSPOOL_PLAIN": str(ROOT / "build/learnspool")})
        suite = ElementTree.parse(report.name).getroot().find("testsuite")
    assert suite is not None
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    if total == 0:
        failed = 1
    return total - failed - skipped, failed, skipped


def main() -> int:
    os.chdir(ROOT)
    make("all")
    make("all", "units", "fuzz-seeds", f"BUILD={SAN}", "SAN=address,undefined", "CFLAGS=-O1 -g")
    counts = [run_unit(binary) for binary in built("unit", "test_*.c")]
    counts.append(run_seeds())
    passed, failed, skipped = run_system(sys.argv[1:])
    passed += sum(count[0] for count in counts)
    failed += sum(count[1] for count in counts)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
