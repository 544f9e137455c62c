"""Nothing is said that is not so: findings B12 to B21 of the hostile readers and their brothers, in
text, JSON, stats, the log and the exit status."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from fakes import (LEARNED, STAT, FakeController, FakeImap, Message, by_subject, configure,
                   configure_all, http, then_cut, then_silence)
from program import ROOT, Program, Result
from servers import wait_until
from test_states import (ALICE, BOX, HAM, MARKED, NO_STAT, QUORUM, SPAM,
                         dated, good, lose_backend, mail, of, refuse, verdicts)

SEEN_ONLY = 'keep = true  mailbox "INBOX" { class = ham  seen-only = true }'


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


def mails(n: int, subject: str = "offer") -> list[bytes]:
    return [mail(f"w{i}", subject) for i in range(n)]


def waiting(program: Program) -> dict[str, int]:
    """What stats says is to be done: by why, and what no run looked at."""
    stats = program("stats", "--json").event("stats")
    found = {name: n for name, n in stats["waiting"].items() if n}
    return found | ({"left": stats["left"]} if stats["left"] else {})


# ---- B12: what is left is said ----

def test_after_a_fatal_error_the_rest_is_counted(program: Program, rspamd: FakeController) -> None:
    """B12: Redis is lost at the third of 20: 18 or more are left, and nobody says nothing new."""
    with FakeImap(mails(20)) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1")
        lose_backend(rspamd, 2)
        done = program("learn")
        assert done.rc == 69 and "nothing new" not in done.out, done
        assert "18 left for the next run (see the error)" in done.out
        assert re.search(r"^learned 2 .* left 18", done.out, re.MULTILINE), done.out
        rspamd.answer, rspamd.stat = by_subject, STAT
        lose_backend(rspamd, len(rspamd.learns))
        done = program("learn", "--json")
        assert done.event("mailbox-end")["left"] == done.event("summary")["left"] == 18
        rspamd.stat = STAT
        assert sum(waiting(program).values()) == 18


def test_after_a_signal_the_rest_is_counted(program: Program, rspamd: FakeController) -> None:
    """B12: Ctrl-C in the middle."""
    with FakeImap(mails(30)) as imap:
        configure(program, imap, rspamd, rspamd_lines="connections = 1")
        rspamd.answer = lambda _: LEARNED if len(rspamd.learns) <= 5 else then_silence()
        run = program.start("learn")
        wait_until(lambda: len(rspamd.learns) > 5, 20, "some are sent")
        run.send_signal(signal.SIGINT)
        out = run.communicate(timeout=30)[0].decode()
        assert run.returncode == 130 and "nothing new" not in out
        assert "25 left for the next run (stopped by a signal)" in out, out
        rspamd.stat = STAT
        assert sum(waiting(program).values()) == 25


def test_behind_the_limit_the_rest_is_counted(program: Program, rspamd: FakeController) -> None:
    """B12: --max 4 of 9."""
    with FakeImap(mails(9)) as imap:
        configure(program, imap, rspamd)
        done = good(program("learn", "--max", "4"))
        assert "4 learned, 5 left for the next run (the limit of --max)" in done.out
        assert waiting(program) == {"left": 5}
        done = good(program("learn", "--max", "4", "--json"))
        assert done.event("mailbox-end")["left"] == 1
        assert done.event("mailbox-end")["left_because"] == "the limit of --max"
        assert good(program("learn", "--max", "4")).out.count("left") == 0
        assert waiting(program) == {}


def test_unread_mail_waits_and_is_said_to(program: Program, rspamd: FakeController) -> None:
    """B12: in every run, not only in the one that found it."""
    with FakeImap(mails(3)) as imap:
        configure_all(program, {ALICE: (imap, SEEN_ONLY)}, rspamd)
        for _ in range(3):
            assert "3 not read by its user yet" in good(program("learn")).out
        assert waiting(program) == {"unread": 3}


def test_held_mail_waits_and_is_said_to(program: Program, rspamd: FakeController) -> None:
    """B12: the same with hold, and with a quorum."""
    for top, raws in (("reports { hold = 9d }\n", mails(2)),
                      (QUORUM.format("9d"), [of(ALICE, raw) for raw in mails(2)])):
        with FakeImap([dated(raw, time.strftime("%d-%b-%Y %H:%M:%S +0000")) for raw in raws],
                      mailbox="INBOX") as imap:
            imap.uidvalidity = 7 + len(top)
            configure(program, imap, rspamd, top=top)
            for _ in range(3):
                done = good(program("learn"))
                assert "2 held" in done.out and "held 2" in done.out, done.out
            assert waiting(program) == {"held": 2}


def test_accounts_that_were_not_reached_are_not_done(program: Program,
                                                     rspamd: FakeController) -> None:
    """B12's brother: an account that cannot be reached, or comes behind a fatal error, has mail of
    which nobody knows; the summary does not say that nothing is left."""
    with FakeImap(mails(2), {"GREETING": lambda _: then_cut()}) as spam, FakeImap() as ham:
        configure_all(program, {SPAM: (spam, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd)
        done = program("learn", "--json")
        assert done.rc != 0 and done.event("summary")["left_or_more"]
        lose_backend(rspamd, 0)
        spam.lies.clear()
        rspamd.stat = lambda: STAT if not rspamd.learns else NO_STAT
        done = program("learn", "--json")
        assert done.rc == 69 and done.event("summary")["left_or_more"], done


def test_what_retention_leaves_is_said(program: Program, rspamd: FakeController) -> None:
    """B12's brother: max-per-run leaves messages that are due."""
    with FakeImap(mails(5)) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        configure(program, imap, rspamd, top="retention { learned = 0s  max-per-run = 2 }\n")
        done = good(program("expire"))
        assert "2 expired" in done.out and "max-per-run" in done.out, done.out
        good(program("expire"))
        assert "max-per-run" not in good(program("expire")).out


# ---- B14: rspamd's count ----

def stat(spam: int, ham: int) -> bytes:
    return http(200, "OK", (f'{{"statfiles":[{{"symbol":"BAYES_SPAM","type":"redis",'
                            f'"revision":{spam}}},{{"symbol":"BAYES_HAM","type":"redis",'
                            f'"revision":{ham}}}]}}').encode())


def test_what_rspamd_answered_counts(program: Program, rspamd: FakeController) -> None:
    """B14: /stat lags; what it answered in this run is known."""
    rspamd.stat = stat(199, 250)
    with FakeImap(mails(3)) as imap:
        configure(program, imap, rspamd)
        done = good(program("learn"))
        assert "rspamd now: spam 202/200, ham 250/200 - Bayes is active" in done.out, done.out
        assert "lags" in done.out and "waits" not in done.out


def test_stat_that_still_lags_from_the_run_before(program: Program,
                                                  rspamd: FakeController) -> None:
    """B14's brother: two runs within a minute. The second one cannot know what /stat did not say at
    its beginning, and claims nothing."""
    rspamd.stat = stat(0, 250)
    with FakeImap(mails(201)) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        imap.add(mail("another"))
        done = good(program("learn"))
        assert "Bayes waits" not in done.out, done.out
        out = good(program("stats")).out
        assert "lags by up to a minute: spam 0" in out and "missing by this count: 200 spam" in out


# ---- B15: stats ----

def test_stats_says_everything(program: Program, rspamd: FakeController) -> None:
    """B15: each outcome has its line; what is too short is nothing that rspamd knows."""
    raws = [mail("one"), mail("two", "short"), mail("three", "bad"),
            mail("four") + b"many words\r\n" * 300]
    with FakeImap(raws) as imap:
        configure(program, imap, rspamd, top="max-size = 2K\n")
        program("learn")
        out = good(program("stats")).out
        assert "contents that rspamd learned from learnspool: spam 1, ham 0" in out
        for line in ("too short +1", "above max-size +1", "failed +1"):
            assert re.search(f"^  {line}$", out, re.MULTILINE), out


def test_stats_after_a_reset(program: Program, rspamd: FakeController) -> None:
    """B15: what bears a mark of before is counted as known."""
    with FakeImap([Message(raw, {"$LearnedSpam"}) for raw in mails(4)]) as imap:
        configure(program, imap, rspamd)
        assert "4 known" in good(program("learn")).out
        assert re.search(r"^  known +4$", good(program("stats")).out, re.MULTILINE)


# ---- B16: reports that prove nothing ----

def untrusted_run(program: Program, spam: FakeImap, junk: FakeImap, rspamd: FakeController,
                  *args: str) -> Result:
    configure_all(program, {SPAM: (spam, BOX["spam"]), ALICE: (junk, BOX["junk"])}, rspamd,
                  top='reports { senders = "@example.net" }\n')
    return program(*args)


def test_a_wrong_token_is_an_alarm(program: Program, rspamd: FakeController) -> None:
    """B16: 10 of 10 reports prove nothing: 1, and a line even with -q."""
    with FakeImap([of(ALICE, raw) for raw in mails(10)]) as spam, FakeImap() as junk:
        done = untrusted_run(program, spam, junk, rspamd, "-q", "learn")
        assert done.rc == 1 and "10 of 10 reports" in done.err and done.err.count("\n") == 1


def test_mail_that_needs_no_proof_hides_no_alarm(program: Program, rspamd: FakeController) -> None:
    """B16's brother: so many messages in users' own mailboxes that untrusted ones are few."""
    with FakeImap([of(ALICE, raw) for raw in mails(10)]) as spam, \
            FakeImap([mail(f"own{n}") for n in range(30)]) as junk:
        done = untrusted_run(program, spam, junk, rspamd, "-q", "learn")
        assert done.rc == 1 and "10 of 10 reports" in done.err, done


# ---- B17: the examples ----

def test_check_refuses_what_run_refuses(program: Program, rspamd: FakeController) -> None:
    """B17: a spool that is not there."""
    with FakeImap() as imap:
        configure(program, imap, rspamd, top=f'spool "{program.folder}/not-there" {{ }}\n')
        run, check = program("run"), program("check")
        assert run.rc == check.rc == 78
        assert "spool" in run.err and "spool" in check.out


def examples() -> dict[str, str]:
    found = {path.name: path.read_text() for path in (ROOT / "conf").glob("*.conf")}
    page = (ROOT / "docs" / "learnspool.conf.5").read_text().partition(".Sh EXAMPLES")[2]
    blocks = re.findall(r"(?s)\.Bd -literal.*?\n(.*?)\.Ed", page)
    return found | {f"learnspool.conf.5, example {n}": block.replace("\\e", "\\")
                    for n, block in enumerate(blocks, 1)
                    if re.search("^(account|impersonate|stalwart) ", block, re.MULTILINE)}


@pytest.mark.parametrize("name", examples())
def test_no_example_is_refused_by_a_run(program: Program, name: str) -> None:
    """B17: an example asks for nothing that this version does not do."""
    text = examples()[name]
    (program.folder / "spool").mkdir(mode=0o755)
    text = text.replace("/var/spool/learnspool", str(program.folder / "spool"))
    text = re.sub(r'ledger = ".*"', "", re.sub(r"(?s)rspamd \{.*?\n\}", "", text))
    text += f'rspamd {{ url = "http://127.0.0.1:1" }}\nledger = "{program.ledger}"\n'
    text = re.sub(r"/etc/learnspool/[a-z-]*\.(token|password|key)", str(program.folder / "secret"),
                  text)
    text = text.replace("/etc/learnspool/users", str(program.folder / "users"))
    text = re.sub(r'url = "(imaps|https)://[^"]*"', r'url = "\1://127.0.0.1:1"', text)
    (program.folder / "users").write_text(f"{ALICE}\n")
    (program.folder / "users").chmod(0o644)
    (program.folder / "secret").touch(0o600)
    (program.folder / "secret").write_text("0123456789abcdef0123456789abcdef\n")
    program.config.touch(0o600)
    program.config.write_text(text)
    done = program("check")
    assert "ok    configuration" in done.out, done
    done = program("run")
    assert done.rc == 69 and "127.0.0.1:1" in done.err, done


# ---- B18: a dry run says what a run does ----

@pytest.mark.parametrize("flags", [set(), {"$LearnedSpam"}, {"$LearnedSpam", "\\Flagged"},
                                   {"$LearnedSpam", "\\Deleted"}])
def test_a_dry_run_expires_what_a_run_does(program: Program, rspamd: FakeController,
                                           flags: set[str]) -> None:
    """B18: also where somebody took the mark off, flagged it or deleted it."""
    with FakeImap(mails(1), {"EXAMINE": lambda honest: re.sub(
            rb"PERMANENTFLAGS \(.*?\)", b"PERMANENTFLAGS ()",
            honest.replace(b"OK done", b"OK [READ-ONLY] done"))}) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        configure(program, imap, rspamd, top="retention { learned = 0s }\n")
        imap.messages[1].flags = flags
        would = good(program("expire", "--dry-run", "--json")).event("summary")["expired"]
        did = good(program("expire", "--json")).event("summary")["expired"]
        assert would == did == (flags == MARKED) == (not imap.messages)


# ---- B19: --max is shared ----

def test_max_starves_nobody(program: Program, rspamd: FakeController) -> None:
    """B19: spam@ is refilled before each run; ham@ is learned all the same."""
    with FakeImap(mails(20)) as spam, FakeImap([mail(f"h{n}") for n in range(6)]) as ham:
        configure_all(program, {SPAM: (spam, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd)
        for n in range(3):
            done = good(program("learn", "--max", "4"))
            assert "left" in done.out
            spam.add(mail(f"more{n}"))
        assert sum(kind == "ham" for kind, _ in verdicts(rspamd)) >= 4
        assert len(rspamd.learns) == 12


# ---- B20: one log-in ----

def logins(imap: FakeImap) -> list[int]:
    """Counts what is sent to log in; refuses nothing."""
    count = [0]

    def note(honest: bytes) -> bytes:
        count[0] += 1
        return honest

    imap.lies["AUTHENTICATE"] = note
    return count


@pytest.mark.parametrize("top", ["", QUORUM.format("9d")])
@pytest.mark.parametrize("command", ["learn", "run"])
def test_one_login_a_run(program: Program, rspamd: FakeController, command: str, top: str) -> None:
    """B20: also with a quorum, and with retention."""
    with FakeImap([of(ALICE, raw) for raw in mails(3)]) as imap:
        configure(program, imap, rspamd, top=top + "retention { learned = 0s }\n")
        count = logins(imap)
        good(program(command))
        assert count == [1] and imap.connections == 1


def refuse_login(honest: bytes) -> bytes:
    return honest.splitlines(True)[-1].replace(b"OK done", b"NO [AUTHENTICATIONFAILED] no")


@pytest.mark.parametrize("top", ["", QUORUM.format("9d")])
def test_a_wrong_password_is_tried_and_told_once(program: Program, rspamd: FakeController,
                                                 top: str) -> None:
    """B20: each log-in more is a step towards a ban."""
    with FakeImap(mails(1), {"AUTHENTICATE": refuse_login}) as bad, FakeImap() as ham:
        configure_all(program, {SPAM: (bad, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd,
                      top=top + "retention { learned = 0s }\n")
        done = program("run")
        assert done.rc == 77 and done.err.count("\n") == 1 and SPAM in done.err, done
        assert bad.connections == 1


def gone(honest: bytes) -> bytes:
    return honest.splitlines(True)[-1].replace(b"OK done", b"NO [NONEXISTENT] no such mailbox")


@pytest.mark.parametrize("kind, lie", [("SELECT", gone), ("GREETING", lambda _: then_cut()),
                                       ("METADATA", refuse)],
                         ids=["mailbox", "server", "metadata"])
def test_with_a_quorum_nothing_is_told_twice(program: Program, rspamd: FakeController,
                                             kind: str, lie: object) -> None:
    """B20's brother: the two passes of a quorum meet the same error."""
    with FakeImap(mails(1), {kind: lie}) as bad, FakeImap() as ham:
        configure_all(program, {SPAM: (bad, BOX["spam"]), HAM: (ham, BOX["ham"])}, rspamd,
                      top=QUORUM.format("9d"))
        done = program("learn")
        assert done.rc != 0 and done.err.count("\n") == 1 and SPAM in done.err, done


def test_many_accounts_are_not_all_open_at_once(program: Program, rspamd: FakeController) -> None:
    """B20's brother: with a quorum, one log-in an account must not mean a socket for each of them
    until the end."""
    with FakeImap([of(ALICE, raw) for raw in mails(1)]) as imap:
        accounts = {f"u{n}@example.org": (imap, BOX["spam"]) for n in range(150)}
        configure_all(program, accounts, rspamd, top=QUORUM.format("9d"))
        command = ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *program.command("learn")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[:500]


# ---- B21: teaching anew ----

def test_reset_retrain_teaches_anew(program: Program, rspamd: FakeController) -> None:
    """B21: reset leaves what bears a mark alone, and says so; --retrain teaches it again."""
    with FakeImap(mails(3)) as imap:
        configure(program, imap, rspamd)
        good(program("learn"))
        good(program("reset", "--yes"))
        assert "3 known" in good(program("learn")).out and len(rspamd.learns) == 3
        good(program("reset", "--yes", "--retrain"))
        assert "3 learned" in good(program("learn")).out and len(rspamd.learns) == 6
        good(program("learn"))
        assert len(rspamd.learns) == 6 and all(f == MARKED for f in imap.flags().values())


# ---- why a message failed ----

def test_why_a_message_failed_can_be_looked_up(program: Program, rspamd: FakeController) -> None:
    """A1: rspamd's words are kept, and shown until the message is learned."""
    with FakeImap([mail("one", "bad"), mail("two")]) as imap:
        configure(program, imap, rspamd)
        assert program("learn").rc == 1
        assert "uid=1 spam pending failed" in program("ledger", "messages").out
        assert " reason=bad\n" in program("ledger", "messages").out
        found = {event["uid"]: event["reason"]
                 for event in program("ledger", "messages", "--json").events[1:]}
        assert found == {1: "bad", 2: ""}
        rspamd.answer = lambda _: LEARNED
        good(program("learn"))
        assert "reason" not in program("ledger", "messages").out
