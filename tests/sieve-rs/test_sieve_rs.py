"""The shipped Sieve scripts in Stalwart's engine: runs the Rust tests beside this file. Needs
cargo (1.88 or newer) and its crates, from cargo's cache or else from the registry; skipped, with
the reason, where either is missing. What was built goes to build/, not into the sources."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
OLDEST = (1, 88)  # what the crates in Cargo.lock ask for
TARGET = HERE.parent.parent / "build" / "sieve-rs"


def cargo(*args: str, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cargo", *args, "--locked"], cwd=HERE, timeout=seconds,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)


def cargo_version() -> str:
    return subprocess.run(["cargo", "--version"], cwd=HERE, capture_output=True,
                          text=True).stdout.strip()


def crates_missing() -> str:
    """Why the crates cannot be had; "" if they are in cargo's cache now."""
    if shutil.which("cargo") is None:
        return "cargo is not installed"
    version = re.search(r"\d+\.\d+", cargo_version())
    if version is None or tuple(map(int, version[0].split("."))) < OLDEST:
        return f"cargo is too old: {cargo_version()}"
    if cargo("fetch", "--offline", seconds=60).returncode == 0:
        return ""
    try:
        tried = cargo("fetch", seconds=120)
    except subprocess.TimeoutExpired:
        return "cargo fetch: no answer from the registry"
    return "" if tried.returncode == 0 else f"cargo fetch: {tried.stderr.strip()[-500:]}"


def test_shipped_scripts_in_stalwarts_engine() -> None:
    if reason := crates_missing():
        pytest.skip(f"NOT TESTED in sieve-rs: {reason}")
    done = cargo("test", "--offline", "--target-dir", str(TARGET), seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^test result: ok\. [1-9]", done.stdout, re.MULTILINE), done.stdout
