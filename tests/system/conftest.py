"""Fixtures of the system tests: real servers, started once, clean for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import FakeController
from program import Program, binary
from servers import Authority, Stack, temporary_folder


@pytest.fixture(scope="session")
def session_stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture
def stack(session_stack: Stack) -> Stack:
    """Dovecot, rspamd and Redis without mail and without memory."""
    session_stack.clean()
    return session_stack


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """For a server of the test's own; pytest's folders are closed to servers' users."""
    folder = temporary_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(server_folder: Path) -> Path:
    """One that other users may enter and look into."""
    server_folder.chmod(0o755)
    return server_folder


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    """A controller that learns whatever it gets."""
    with FakeController() as controller:
        yield controller


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """For certificates of fakes."""
    folder = temporary_folder()
    yield Authority(folder)
    shutil.rmtree(folder)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, with an empty ledger and no configuration yet."""
    if not binary().exists():
        pytest.fail(f"{binary()} is not there: make first, or set LEARNSPOOL")
    return Program(tmp_path)


@pytest.fixture
def learnspool(stack: Stack, program: Program) -> Program:
    """The program, configured for spam@ and ham@ of the stack."""
    program.configure(stack)
    return program
