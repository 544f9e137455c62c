"""The harness proves itself: what the other tests rely on is true of the servers."""

from __future__ import annotations

import imaplib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

import corpus
from program import Program, Rig
from servers import (HOST, Authority, Dovecot, Redis, Rspamd, Server, ServerError, Stack, Valkey,
                     crlf, free_port, quoted, wait_until)

SPAM, HAM = "spam@example.org", "ham@example.org"


def test_corpus_is_real_mail() -> None:
    assert len(corpus.spam()) == len(corpus.ham()) == 360
    assert len({mail.raw for mail in corpus.load()}) == 720
    assert all(b"\n\n" in crlf(mail.raw).replace(b"\r", b"") for mail in corpus.load())


def test_append_keeps_bytes_flags_and_date(stack: Stack) -> None:
    raw = crlf(corpus.spam()[0])
    stack.dovecot.append(SPAM, "INBOX", raw, (r"\Flagged", "$Junk"), 1_000_000_000)
    assert stack.dovecot.messages(SPAM) == {1: raw}
    with stack.dovecot.session(SPAM, "INBOX") as link:
        answer = stack.dovecot.check(link.uid("FETCH", "1", "(INTERNALDATE)"))
    date = imaplib.Internaldate2tuple(answer[0])
    assert date is not None and time.mktime(date) == 1_000_000_000


def test_looking_changes_no_flags(stack: Stack) -> None:
    stack.dovecot.append_many(SPAM, "INBOX", corpus.spam()[:3])
    first = stack.dovecot.flags(SPAM)
    stack.dovecot.messages(SPAM)
    assert first == stack.dovecot.flags(SPAM) == {uid: {r"\Recent"} for uid in (1, 2, 3)}


def test_append_many_keeps_order(stack: Stack) -> None:
    mails = [crlf(raw) for raw in corpus.ham()]
    stack.dovecot.append_many(HAM, "INBOX", mails, batch=100)
    assert list(stack.dovecot.messages(HAM).values()) == mails


@pytest.mark.parametrize("name, wire", [
    ("A folder", "A folder"), ("Spaß & Müll", "Spa&AN8- &- M&APw-ll"), ("日本語", "&ZeVnLIqe-"),
    ('say "x"', 'say \\"x\\"')])
def test_mailbox_names(stack: Stack, name: str, wire: str) -> None:
    assert quoted(name) == f'"{wire}"'
    stack.dovecot.append(HAM, name, corpus.ham()[0])
    assert len(stack.dovecot.flags(HAM, name)) == 1


def test_a_restart_keeps_ports_and_mail(stack: Stack) -> None:
    stack.dovecot.append(SPAM, "INBOX", corpus.spam()[0])
    for server in (stack.dovecot, stack.rspamd):
        port = server.port
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port))
        assert server.start().port == port
    assert len(stack.dovecot.flags(SPAM)) == 1 and stack.rspamd.learns() == (0, 0)


def test_lmtp_delivers_as_a_mail_server_does(stack: Stack) -> None:
    raw = crlf(corpus.spam()[0])
    stack.dovecot.lmtp(SPAM, raw, "user@example.org")
    (stored,) = stack.dovecot.messages(SPAM).values()
    assert stored.startswith(b"Return-Path: <user@example.org>\r\nDelivered-To: spam@")
    assert stored.endswith(raw)


def test_starttls_verifies_the_certificate(stack: Stack) -> None:
    assert stack.dovecot.imap(SPAM, starttls=True).logout()[0] == "BYE"
    strange = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        imaplib.IMAP4_SSL("localhost", stack.dovecot.port, ssl_context=strange)


def test_dovecot_offers_what_learnspool_uses(stack: Stack) -> None:
    with stack.dovecot.session(SPAM, "INBOX") as link:
        offered = stack.dovecot.check(link.capability())[0].split()
        assert {b"UIDPLUS", b"MOVE", b"ESEARCH", b"SPECIAL-USE", b"IDLE"} <= set(offered)
        assert rb"\*" in link.untagged_responses["PERMANENTFLAGS"][0]
        assert any(b"\\Junk" in line for line in stack.dovecot.check(link.list()))


def test_a_wrong_mail_password_is_refused_at_once(stack: Stack) -> None:
    start = time.monotonic()
    for _ in range(3):
        link = imaplib.IMAP4("localhost", stack.dovecot.starttls_port)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            link.login(SPAM, "wrong")
        link.logout()
    assert time.monotonic() - start < 3


def test_learns_are_counted_and_forgotten(stack: Stack) -> None:
    for round_ in range(2):
        assert stack.rspamd.learns() == (0, 0), f"round {round_}"
        assert stack.rspamd.learn("spam", corpus.spam()[0])[0] == 200
        assert stack.rspamd.learn("ham", corpus.ham()[0])[0] == 200
        assert stack.rspamd.learn("ham", corpus.ham()[0])[0] == 208
        assert stack.rspamd.learns() == (1, 1)
        stack.rspamd.forget()


@pytest.mark.skipif(not shutil.which("valkey-server"), reason="valkey-server is not installed")
def test_valkey_does_as_well(server_folder: Path, learnspool: Program, stack: Stack) -> None:
    """By the program: what it learns into rspamd's Valkey is there."""
    stack.dovecot.append_many(SPAM, "INBOX", corpus.spam()[:5])
    with Valkey(server_folder) as valkey, Rspamd(server_folder, valkey) as rspamd:
        learnspool.configure(Rig(rspamd, stack.dovecot, stack.authority))
        assert learnspool("learn").rc == 0
        assert rspamd.learns() == (5, 0) and stack.rspamd.learns() == (0, 0)


def test_bayes_works_and_is_forgotten(stack: Stack) -> None:
    for kind, mails in (("spam", corpus.spam()), ("ham", corpus.ham())):
        for raw in mails[:260]:
            stack.rspamd.learn(kind, raw, Learn_Type="bulk")
    assert min(stack.rspamd.learns()) >= 200
    assert "BAYES_SPAM" in stack.rspamd.scan(corpus.spam()[300])["symbols"]
    stack.rspamd.forget()
    assert "BAYES_SPAM" not in stack.rspamd.scan(corpus.spam()[300])["symbols"]


def test_stat_comes_round_to_the_truth(stack: Stack) -> None:
    assert {f["symbol"] for f in stack.rspamd.stat()["statfiles"]} == {"BAYES_SPAM", "BAYES_HAM"}


def test_rspamd_without_redis_has_no_statfiles(server_folder: Path) -> None:
    with Rspamd(server_folder, None) as broken:
        assert broken.stat()["statfiles"] == []
        assert broken.learn("spam", corpus.spam()[0])[0] in (204, 404)  # 404 from 3.12 on


def test_rspamd_refuses_a_wrong_password_when_told_so(stack: Stack,
                                                      server_folder: Path) -> None:
    assert stack.rspamd.request("GET", "/stat", password="wrong")[0] == 200
    with Rspamd(server_folder, stack.redis, password="right", trust_loopback=False) as strict:
        assert strict.request("GET", "/stat", password="wrong")[0] in (401, 403)
        assert strict.learn("spam", corpus.spam()[0])[0] == 200
        assert strict.request("GET", "/stat")[0] == 200


def test_two_stacks_at_once(stack: Stack) -> None:
    with Stack() as other:
        other.dovecot.append(SPAM, "INBOX", corpus.spam()[0])
        other.rspamd.learn("spam", corpus.spam()[0])
        assert other.rspamd.learns() == (1, 0) and len(other.dovecot.flags(SPAM)) == 1
        assert stack.rspamd.learns() == (0, 0) and stack.dovecot.flags(SPAM) == {}


def test_certificates_can_be_expired_or_of_another_host(server_folder: Path) -> None:
    authority = Authority(server_folder)
    for certificate in (authority.issue("old", days=-1),
                        authority.issue("other", hosts=["mail.example.org"])):
        server = Dovecot(server_folder, authority, certificate=certificate)
        server.add_user(SPAM)
        with server, pytest.raises(ssl.SSLCertVerificationError):
            server.imap(SPAM)


@pytest.mark.parametrize("server", [Redis, Rspamd, Dovecot])
def test_a_taken_port_is_tried_again(server: type[Server], server_folder: Path, stack: Stack,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [stack.redis.port, *(free_port() for _ in range(6))]
    monkeypatch.setattr("servers.free_port", lambda: ports.pop(0))
    first = {Redis: (), Rspamd: (stack.redis,), Dovecot: (stack.authority,)}[server]
    with server(server_folder, *first) as started:
        assert started.port != stack.redis.port and started.ready()


def test_a_server_that_cannot_start_shows_its_log(server_folder: Path, stack: Stack) -> None:
    broken = Dovecot(server_folder, stack.authority, extra="no_such_setting = 1\n")
    with pytest.raises(ServerError, match="no_such_setting"):
        broken.start()


ORPHAN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from servers import Stack
stack = Stack().start()
print(stack.folder, stack.redis.pid, stack.rspamd.pid, stack.dovecot.pid, flush=True)
{end}
"""


@pytest.mark.parametrize("end, signum", [
    ("time.sleep(60)", signal.SIGKILL), ("time.sleep(60)", signal.SIGINT),
    ("raise SystemExit(1)", None)])
def test_nothing_outlives_its_parent(end: str, signum: int | None) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", ORPHAN.format(end=end), str(Path(__file__).parent)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    folder, *pids = child.stdout.readline().split()
    if signum is not None:
        child.send_signal(signum)
    child.wait(30)
    wait_until(lambda: not sessions(pids), 20, f"sessions {pids} end")
    if signum == signal.SIGKILL:
        shutil.rmtree(folder)  # nobody was left to do it
    assert not os.path.exists(folder)


def sessions(leaders: list[str]) -> set[str]:
    """The processes that are left of what these started."""
    lines = subprocess.run(["ps", "-eo", "sid=,pid=,stat="], capture_output=True,
                           text=True, check=True).stdout.splitlines()
    return {pid for sid, pid, stat in map(str.split, lines)
            if sid in leaders and not stat.startswith("Z")}


def test_configuration_is_private_and_as_in_the_contract(stack: Stack, tmp_path: Path) -> None:
    program = Program(tmp_path)
    text = program.configure(stack, top="max-size = 1M\n").read_text()
    assert text.endswith("max-size = 1M\n") and text.count("{") == text.count("}") == 5
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    assert modes == {0o600}
