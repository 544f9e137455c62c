"""The ledger's disk is full: by a library that has writes fail, so this needs no mount. The unit
tests of the store have a real small disk, where one can be mounted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from program import Program, Result
from servers import Stack, crlf

SPAM = "spam@example.org"
PAGE = 4096  # what the ledger's file is written in


@pytest.fixture(scope="module")
def enospc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("enospc") / "enospc.so"
    source = Path(__file__).with_name("enospc.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O", "-o", library, source, "-ldl"], check=True)
    return library


def mail(n: int) -> bytes:
    words = " ".join(f"word{n}and{i}" for i in range(40))
    return crlf(f"From: a@b.example\nTo: u@example.org\nSubject: number {n}\n"
                f"Message-ID: <full-{n}@b.example>\n\n{words}\n".encode())


def learn(program: Program, library: Path, room: int) -> Result:
    """A run with so many bytes left on the ledger's disk."""
    return program("learn", env={
        "LD_PRELOAD": str(library), "ENOSPC_FOLDER": str(program.ledger), "ENOSPC_BYTES": str(room),
        # The sanitizer wants to be the first library, and works as the second.
        "ASAN_OPTIONS": "verify_asan_link_order=0:abort_on_error=0:exitcode=99:detect_leaks=0"})


@pytest.mark.parametrize("pages", [0, 2, 3])
def test_a_full_disk_stops_a_run_and_loses_nothing(stack: Stack, learnspool: Program,
                                                   enospc: Path, pages: int) -> None:
    """Wherever it gets full, the run ends with one line that says so; once there is room, the
    ledger is whole and everything is learned: by rspamd's count, each message once."""
    count = 12
    stack.dovecot.append_many(SPAM, "INBOX", [mail(n) for n in range(count)])
    done = learn(learnspool, enospc, pages * PAGE)
    assert done.rc == 75 and done.err.count("\n") == 1 and "the disk is full" in done.err, done
    stack.rspamd.wait_quiet()
    done = learnspool("learn")
    assert done.rc == 0 and learnspool("ledger", "verify").rc == 0, done
    assert stack.rspamd.learns() == (count, 0)
    assert all("$LearnedSpam" in names for names in stack.dovecot.flags(SPAM).values())
