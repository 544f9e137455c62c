"""Everything that can be wrong before and while mail is learned: one line each with its cure,
the right exit status, and nothing changed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import corpus
from fakes import (LEARNED, STAT, FakeController, FakeImap, Reply, Request, configure, drip,
                   endless, http, then_cut, then_silence)
from program import Program, Result, Rig, secret_file
from proxy import Proxy
from servers import Authority, Rspamd, Stack, free_port, wait_until

SPAM, HAM = "spam@example.org", "ham@example.org"
MAILS = sorted(corpus.spam(), key=len)[:3]


def refused(result: Result, rc: int, *words: str) -> None:
    """It failed with this status and said so in one line that has these words."""
    assert result.rc == rc, result
    assert result.err.count("\n") == 1, result.err
    assert all(word in result.err for word in words), result.err


# ---- rspamd that cannot learn ----

def test_rspamd_without_redis(stack: Stack, learnspool: Program, server_folder: Path) -> None:
    """No Bayes backend: 69 with the cure, before any mail is touched, for rspamd would answer
    every learn as if it were fine."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    before = stack.dovecot.flags(SPAM)
    with Rspamd(server_folder, None) as broken:
        learnspool.configure(Rig(broken, stack.dovecot, stack.authority))
        done = learnspool("learn", "-v", "-v")
        assert done.rc == 69 and "command=" not in done.err
        refused(learnspool("learn"), 69, "Bayes", "redis.conf", "no mail was touched")
    assert stack.dovecot.flags(SPAM) == before


def test_redis_dies_in_the_middle(stack: Stack, learnspool: Program,
                                  server_folder: Path) -> None:
    """The run stops with the cure; not one message more is marked than rspamd learned, and
    once Redis is back the next run learns the rest. (rspamd 3.4 then answers with status "1", or
    crashes; 3.12 with status 500.)"""
    stack.dovecot.append_many(SPAM, "INBOX", corpus.spam()[:60])
    with Proxy(stack.redis.port) as proxy:
        servers = f'servers = "127.0.0.1:{proxy.port}";\n'
        local = {"redis.conf": servers, "classifier-bayes.conf": servers}
        with Rspamd(server_folder, stack.redis, local=local) as rspamd:
            learnspool.configure(Rig(rspamd, stack.dovecot, stack.authority),
                                 rspamd="connections = 2  tries = 2")
            run = learnspool.start("learn")
            wait_until(lambda: rspamd.learns()[0] >= 10, 20, "some messages are learned")
            proxy.close()
            _, err = run.communicate(timeout=60)
            assert err.count(b"\n") == 1, err
            assert run.returncode == 69, err
            assert b"Redis" in err or b"cannot be reached" in err, err
            marked = sum("$LearnedSpam" in f for f in stack.dovecot.flags(SPAM).values())
            # rspamd may have learned what it could not say any more.
            assert marked <= rspamd.learns()[0] <= marked + 2 and marked < 60
    learnspool.configure(stack)
    assert learnspool("learn").rc == 0 and 60 <= stack.rspamd.learns()[0] <= 62
    assert all(f == {"$LearnedSpam"} for f in stack.dovecot.flags(SPAM).values())


def test_a_wrong_rspamd_password(stack: Stack, learnspool: Program, server_folder: Path) -> None:
    """77, and no mailbox is opened."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    before = stack.dovecot.flags(SPAM)
    with Rspamd(server_folder, stack.redis, password="right", trust_loopback=False) as strict:
        learnspool.configure(Rig(strict, stack.dovecot, stack.authority))
        secret_file(learnspool.folder / "rspamd.password", "wrong\n")
        refused(learnspool("learn"), 77, "password", "rspamd block")
        secret_file(learnspool.folder / "rspamd.password", "right\n")
        assert stack.dovecot.flags(SPAM) == before
        assert learnspool("learn").rc == 0 and strict.learns() == (3, 0)


@pytest.mark.parametrize("stat, rc, words", [
    (http(401, "Unauthorized"), 77, "password"),
    (http(403, "Forbidden"), 77, "password"),
    (http(404, "Not Found"), 78, "check url"),
    (http(500, "oops"), 69, "500 oops"),
    (http(200, "OK", b"<html>welcome</html>"), 78, "check url"),
    (http(200, "OK", b'{"statfiles":[]}'), 69, "Bayes"),
    (http(200, "OK", b'{"statfiles":[{},{}]}'), 69, "Bayes"),
    (http(200, "OK", b'{"statfiles":' + b"[" * 50_000), 78, "check url"),
    (then_cut, 69, "cannot be reached"),
    (lambda: then_cut(reset=True), 69, "cannot be reached"),
    (then_silence, 69, "cannot be reached"),
    (lambda: drip(STAT), 69, "cannot be reached"),
    (lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: and so on\r\n"), 69, "rspamd"),
    (lambda: endless(b"HTTP/1.1 200 OK\r\n\r\n", b"a body without end"), 69, "rspamd"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", 69, "cannot be reached"),
])
def test_what_is_not_a_working_rspamd(program: Program, stat: Reply | Callable[[], Reply],
                                      rc: int, words: str) -> None:
    """Asked before the first message: what is no rspamd, or none that can learn, ends the run
    before any server of mail is spoken to."""
    with FakeController(stat=stat) as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd, rspamd_lines="timeout = 1s")
        refused(program("learn"), rc, "rspamd " + rspamd.url, words)
        assert imap.connections == 0 and rspamd.learns == []


def test_nobody_listens(program: Program) -> None:
    """rspamd or the mail server is not there: 69 with its url."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        text = program.config.read_text()
        there = f":{rspamd.port}"
        secret_file(program.config, text.replace(there, f":{free_port()}"))
        refused(program("learn"), 69, "cannot be reached", "start it")
        secret_file(program.config, text.replace(f":{imap.port}", f":{free_port()}"))
        refused(program("learn"), 69, "cannot reach imap://localhost", "check url")
        assert imap.connections == 0 and rspamd.learns == []


# ---- what rspamd answers to a message ----

def answered(program: Program, answer: Callable[[Request], Reply], rc: int, lines: str = "",
             ) -> tuple[FakeImap, FakeController, Result]:
    """A run on one message, and one that will be learned in any case."""
    def first_is_odd(request: Request) -> Reply:
        return answer(request) if b"X-Odd" in request.body else LEARNED

    odd = b"X-Odd: yes\r\n" + MAILS[0]
    with FakeController(first_is_odd) as rspamd, FakeImap([odd, MAILS[1]]) as imap:
        configure(program, imap, rspamd, rspamd_lines=lines)
        done = program("learn", "--json")
        assert done.rc == rc, done
        return imap, rspamd, done


def reason(done: Result) -> tuple[str, str]:
    (event,) = [e for e in done.events if e.get("event") == "message" and e["uid"] == 1]
    return event["outcome"], event["reason"] or ""


@pytest.mark.parametrize("answer, outcome, words, mark", [
    (LEARNED, "learned", "", "$LearnedSpam"),
    (http(208, "has been already learned as spam, ignore it"), "known", "already learned",
     "$LearnedSpam"),
    (http(204, "<x> contains less tokens than required for bayes classifier: 3 < 11"),
     "unlearnable", "3 < 11", "$LearnSkipped"),
    (http(204, "<x> contains more tokens than allowed for bayes classifier: 9 > 2"),
     "unlearnable", "9 > 2", "$LearnSkipped"),
    (http(204, "all learn conditions denied learning spam in default classifier"),
     "sure", "denied", "$LearnSkipped"),
    (http(204, "already in class spam; probability 99%"), "sure", "already", "$LearnSkipped"),
])
def test_answers_that_settle_a_message(program: Program, answer: bytes, outcome: str, words: str,
                                       mark: str) -> None:
    """Each says what rspamd did with it, in rspamd's words; the message is done with."""
    imap, rspamd, done = answered(program, lambda request: answer, 0)
    assert reason(done)[0] == outcome and words in reason(done)[1]
    assert imap.flags() == {1: {mark}, 2: {"$LearnedSpam"}}
    assert len(rspamd.learns) == 2


@pytest.mark.parametrize("answer, words", [
    (http(204, "No Content"), "No Content"),
    (http(204), "no reason given"),
    (http(204, "a backend is missing"), "backend is missing"),
    (http(200, "OK", b'{"success":false}'), "success"),
    (http(200, "OK", b'{"success":"true"}'), "success"),
    (http(200, "OK", b"<html><title>Welcome to nginx!</title>"), "nginx"),
    (http(200, "OK", b'{"error":"\x1b[2J\xe2\x80\xae"}'), "\\x1b[2J"),
    (http(302, "Found", b"", b"Location: http://127.0.0.1/\r\n"), "Found"),
    (http(400, "Bad", b'{"error":"Bad request"}'), "Bad request"),
    (http(413, "Entity too large", b"<html>413</html>"), "413"),
    (http(418, "teapot"), "teapot"),
    (lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: and so on\r\n"), "longer than any"),
    (lambda: endless(b"HTTP/1.1 200 OK\r\n\r\n", b"and so on"), "longer than any"),
])
def test_answers_that_do_not(program: Program, answer: bytes | Callable[[], Reply],
                             words: str) -> None:
    """Anything that is not rspamd saying that it learned is a failure of this message: it is
    sent once, not marked, explained, and the run goes on and exits with 1. It has failed only
    where rspamd itself refused it; a proxy's page is no answer."""
    imap, rspamd, done = answered(
        program, lambda request: answer if isinstance(answer, bytes) else answer(), 1)
    refused_by_rspamd = isinstance(answer, bytes) and (
        b'{"error"' in answer and b"\x1b" not in answer
        or (b" 204 " in answer and b"No Content" not in answer))
    assert reason(done)[0] == ("failed" if refused_by_rspamd else "unanswered"), reason(done)
    assert words in reason(done)[1], reason(done)
    assert imap.flags() == {1: set(), 2: {"$LearnedSpam"}}
    assert len(rspamd.learns) == 2


@pytest.mark.parametrize("answer, words", [
    (http(429, "Too Many Requests"), "Too Many Requests"),
    (http(500, "Internal", b'{"error":"broken"}'), "broken"),
    (http(503, "Service Unavailable", b"<html>busy"), "busy"),
    (then_cut, "nothing"),
    (lambda: then_cut(reset=True), ""),
    (lambda: then_cut(LEARNED[:-3]), ""),
    (http(200, "OK"), "no reason given"),  # as libcurl shows a cut inside the header
    (then_silence, "imeout"),
    (lambda: drip(LEARNED), "imeout"),
    (b"HTTP/1.1 1 cannot get learned: error getting reply from redis\r\n\r\n", "Redis"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", ""),
])
def test_answers_that_are_tried_again(program: Program, answer: bytes | Callable[[], Reply],
                                      words: str) -> None:
    """What may pass is tried again, a bounded number of times with a pause in between; then
    the message failed in this run and stays."""
    imap, rspamd, done = answered(
        program, lambda request: answer if isinstance(answer, bytes) else answer(), 1,
        "tries = 2  timeout = 1s")
    assert reason(done)[0] == "unanswered" and words in reason(done)[1], reason(done)
    assert imap.flags() == {1: set(), 2: {"$LearnedSpam"}}
    assert len(rspamd.learns) == 3


def test_what_passes_by_is_not_seen(program: Program) -> None:
    """Twice 503, then it works: learned, exit 0, one message sent three times."""
    answers = iter([http(503, "busy"), http(503, "busy")])
    imap, rspamd, done = answered(program, lambda request: next(answers, LEARNED), 0)
    assert imap.flags()[1] == {"$LearnedSpam"} and len(rspamd.learns) == 4


@pytest.mark.parametrize("answer, rc, words", [
    (http(401, "Unauthorized", b'{"error":"Unauthorized"}'), 77, "password"),
    (http(403, "Forbidden", b'{"error":"forbidden"}'), 77, "enable_password"),
    (http(404, "Not Found", b'{"error":"unknown classifier"}'), 78, "classifier"),
])
def test_answers_that_end_the_run(program: Program, answer: bytes, rc: int, words: str) -> None:
    """What would go wrong with every message ends the run at once, with its cure."""
    with FakeController(lambda request: answer) as rspamd, FakeImap(MAILS * 10) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 2")
        refused(program("learn"), rc, words)
        assert len(rspamd.learns) <= 2 and not any(imap.flags().values())
        rspamd.answer = lambda request: LEARNED
        assert program("learn").rc == 0
        assert all(flags == {"$LearnedSpam"} for flags in imap.flags().values())


def test_rspamd_that_goes_away(program: Program) -> None:
    """Refused from some message on: 69, nothing of the rest is marked, the next run does it."""
    def leave(request: Request) -> Reply:
        if len(rspamd.learns) > 4:
            rspamd.close()
            return then_cut()
        return LEARNED

    with FakeController(leave) as rspamd, FakeImap(corpus.spam()[:30]) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1  tries = 2")
        refused(program("learn"), 69, "cannot be reached")
        assert sum(map(len, imap.flags().values())) == 4
        with FakeController() as again:
            configure(program, imap, again)
            assert program("learn").rc == 0 and len(again.learns) == 26


def test_the_backend_is_lost_in_the_middle(program: Program) -> None:
    """"Already sure" of everything is what an rspamd says whose Bayes does not work: /stat
    tells the two apart, and then nothing is marked."""
    def sure(request: Request) -> Reply:
        rspamd.stat = http(200, "OK", b'{"statfiles":[]}')
        return http(204, "all learn conditions denied learning spam in default classifier")

    with FakeController(sure) as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        done = program("learn")
        refused(done, 69, "Bayes backend", "Redis")
        assert not any(imap.flags().values())


# ---- how rspamd is asked ----

def test_headers_and_path(program: Program) -> None:
    """Learn-Type, Classifier and Deliver-To as configured, below the path of a web server."""
    with FakeController(prefix="/rspamd/ctl") as rspamd, FakeImap(MAILS[:1]) as imap:
        configure(program, imap, rspamd, rspamd_lines='bulk = true  classifier = "bayes 2"  '
                                                      'deliver-to = "joe@example.org"')
        assert program("learn").rc == 0
        (learned,) = rspamd.learns
        assert learned.path == "/rspamd/ctl/learnspam"
        wanted = {"learn-type": "bulk", "classifier": "bayes 2", "password": "q1",
                  "deliver-to": "joe@example.org"}
        assert {name: learned.headers.get(name) for name in wanted} == wanted
        assert {r.path for r in rspamd.requests} == {"/rspamd/ctl/learnspam", "/rspamd/ctl/stat"}


def test_nothing_is_asked_for_by_default(program: Program) -> None:
    """Without these options none of these headers is sent."""
    with FakeController() as rspamd, FakeImap(MAILS[:1]) as imap:
        configure(program, imap, rspamd)
        assert program("learn").rc == 0
        assert not {"learn-type", "classifier", "deliver-to"} & rspamd.learns[0].headers.keys()


def no_ipv6() -> str:
    """Why nothing can listen on ::1; "" if it can."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return f"no IPv6 on loopback: {error}"
    return ""


@pytest.mark.skipif(bool(no_ipv6()), reason=no_ipv6())
def test_ipv6(program: Program) -> None:
    """http://[::1]:PORT."""
    with FakeController(host="::1") as rspamd, FakeImap(MAILS[:1]) as imap:
        configure(program, imap, rspamd)
        assert program("learn").rc == 0 and len(rspamd.learns) == 1


def test_https_is_verified(program: Program, authority: Authority) -> None:
    """https:// with ca-file works, and without it the password stays with us."""
    certificate = authority.issue("controller")
    with FakeController(certificate=certificate) as rspamd, FakeImap(MAILS[:1]) as imap:
        configure(program, imap, rspamd)
        refused(program("learn"), 69, "cannot be reached", "certificate")
        assert rspamd.requests == [] and imap.connections == 0
        configure(program, imap, rspamd, rspamd_lines=f'ca-file = "{authority.cert}"')
        assert program("learn").rc == 0 and len(rspamd.learns) == 1


# ---- log-ins and TLS ----

def test_a_wrong_mail_password(stack: Stack, learnspool: Program) -> None:
    """77 with the server's words; the other account is learned all the same."""
    for user in (SPAM, HAM):
        stack.dovecot.append_many(user, "INBOX", MAILS[:2] if user == SPAM else corpus.ham()[:2])
    secret_file(learnspool.folder / "spam.password", "wrong\n")
    refused(learnspool("learn"), 77, SPAM, "AUTHENTICATIONFAILED", "check user and password")
    assert stack.rspamd.learns() == (0, 2)
    assert not any("$LearnedSpam" in f for f in stack.dovecot.flags(SPAM).values())


@pytest.mark.parametrize("name, options, words", [
    ("expired", {"days": -1}, "has expired"),
    ("other", {"hosts": ["mail.example.org"]}, "'localhost'"),
    ("good", {}, "unable to get local issuer certificate"),
])
def test_certificates_are_verified(program: Program, authority: Authority, name: str,
                                   options: dict[str, object], words: str) -> None:
    """Expired, of another host, by an unknown authority: 69, and the password is not sent."""
    certificate = authority.issue(f"imap-{name}", **options)  # type: ignore[arg-type]
    with FakeController() as rspamd, FakeImap(MAILS, certificate=certificate) as imap:
        trusted = Rig(rspamd, imap, authority)
        program.configure(trusted, {SPAM: 'mailbox "INBOX" { class = spam }'})
        if name == "good":
            assert program("learn").rc == 0 and len(rspamd.learns) == 3
            text = program.config.read_text().replace(f'ca-file = "{authority.cert}"', "")
            secret_file(program.config, text)
            imap.commands.clear()
        refused(program("learn"), 69, "certificate of", "is not trusted", words, "ca-file")
        assert imap.commands == []


def test_no_starttls_no_password(program: Program) -> None:
    """imap:// without STARTTLS is refused, whoever took it away on the wire."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        text = program.config.read_text().replace("insecure = true", "")
        secret_file(program.config, text)
        refused(program("learn"), 69, "no STARTTLS", "insecure = true")
        assert not any("FETCH" in command for command in imap.commands)


def test_starttls_works(stack: Stack, learnspool: Program) -> None:
    """imap:// with a server that has it."""
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    learnspool.configure(stack, starttls=True)
    assert learnspool("learn").rc == 0 and stack.rspamd.learns() == (3, 0)


def test_a_missing_folder(stack: Stack, learnspool: Program) -> None:
    """One line that names it; the folders beside it are learned, and it is not made."""
    boxes = 'mailbox "No such" { class = spam }\nmailbox "INBOX" { class = spam }'
    learnspool.configure(stack, {SPAM: boxes})
    stack.dovecot.append_many(SPAM, "INBOX", MAILS)
    done = learnspool("learn")
    refused(done, 78, SPAM, "mailbox No such", "there is none of this name")
    assert stack.rspamd.learns() == (3, 0)
    with stack.dovecot.session(SPAM) as link:
        assert not any(b"No such" in line for line in stack.dovecot.check(link.list()))


def test_no_folder_has_the_special_use(stack: Stack, learnspool: Program) -> None:
    """\\\\Archive that no folder has: 78 with the cure."""
    learnspool.configure(stack, {SPAM: 'mailbox "\\\\Archive" { class = spam }'})
    refused(learnspool("learn"), 78, "special use", "\\Archive", "by its name")


# ---- configuration ----

@pytest.mark.parametrize("line, at, words", [
    ("no-such-key = 1\n", 1, "no-such-key"),
    ("max-size = lots\n", 1, "max-size"),
    ("max-size = 1\n", 1, "max-size"),
    ('spool "relative" { }\n', 1, "relative path"),
    ("max-size = 1M\nmax-size = 2M\n", 2, "max-size"),
    ("retention {\n  learned = 7w\n}\n", 2, "learned"),
    ("account \"x\" {\n", 1, "not closed"),
    ("rspamd { connections = 0 }\n", 1, ""),
])
def test_a_bad_configuration(program: Program, line: str, at: int, words: str) -> None:
    """78 with file and line, before anything is contacted or written."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        text = program.config.read_text() + line
        secret_file(program.config, text)
        number = text.count("\n") - line.count("\n") + at
        refused(program("learn"), 78, f"{program.config}:{number}:", words)
        assert rspamd.connections == imap.connections == 0
    assert list(program.ledger.iterdir()) == []


def test_secrets_that_others_may_read(program: Program) -> None:
    """78 that names the file; and so does one that is not there, or is empty."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        secret = program.folder / "spam.password"
        for mode in (0o644, 0o660, 0o606):
            os.chmod(secret, mode)
            refused(program("learn"), 78, f"{program.config}:", str(secret))
        secret.unlink()
        refused(program("learn"), 78, str(secret), "No such file")
        assert rspamd.connections == imap.connections == 0
        secret_file(secret, "")
        refused(program("learn"), 78, SPAM, "the password is empty")


def test_a_configuration_that_others_may_write(program: Program) -> None:
    """It names commands that run as us."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        os.chmod(program.config, 0o666)
        refused(program("learn"), 78, str(program.config))
        assert rspamd.connections == imap.connections == 0


@pytest.mark.parametrize("args, words", [
    (["learn", "--account", "nobody@example.org"], "no account of that name"),
    (["learn", "--max", "-1"], "--max"),
    (["learn", "--max", "1x"], "--max"),
    (["learn", "more"], "more"),
    (["learn", "--class", "spam"], "--class"),
    (["learn", "--class", "spam", "--account", "me@example.org", "mail"], "--account"),
    (["learn", "--class", "junk", "mail"], "junk"),
    (["learn", "--balance", "2:1:3"], "2:1:3"),
    (["check", "more"], "more"),
    (["stats", "--dry-run"], "stats takes no --dry-run"),
    (["check", "--json"], "check takes no --json"),
    (["reset", "--account", "me@example.org"], "reset takes no --account"),
    (["stats", "--max", "1"], "stats takes no --max"),
    (["run", "--yes"], "run takes no --yes"),
    (["run", "--retrain"], "run takes no --retrain"),
    (["run", "--class", "spam"], "run takes no --class"),
    (["run", "--guard"], "run takes no --guard"),
    (["expire", "--balance", "2:1"], "expire takes no --balance"),
    (["lern"], "lern"),
])
def test_a_wrong_command_line(program: Program, args: list[str], words: str) -> None:
    """64, one line, nothing contacted."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        configure(program, imap, rspamd)
        refused(program(*args), 64, words)
        assert rspamd.connections == imap.connections == 0


def test_passwords_are_never_said(program: Program) -> None:
    """Not with -v -v, in no error, and not in the ledger."""
    with FakeController() as rspamd, FakeImap(MAILS) as imap:
        rspamd.password, imap.passwords[SPAM] = "Pa55-of-rspamd", "Pa55-of-spam"
        configure(program, imap, rspamd)
        done = program("learn", "-v", "-v")
        assert done.rc == 0 and len(rspamd.learns) == 3
        rspamd.stat = http(401, "no")
        text = done.out + done.err + program("learn", "-v", "-v").err
        ledger = (program.ledger / "data.mdb").read_bytes()
        assert "Pa55" not in text and b"Pa55" not in ledger
