"""Users of a real Stalwart change their minds over IMAP, and what they decided is learned from its
training samples. The first tests are about the server: what the others, and stalwart.py, rest on.

Set STALWART to the program of a Stalwart 0.16."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import corpus
from fakes import FakeController
from program import Program, Result, secret_file
from servers import Authority, Stack, crlf, temporary_folder, wait_until
from stalwart_server import (DOMAIN, JUNK, LEARN, NETWORK_OF_ITS_OWN, PERMISSIONS, SAMPLE, TRASH,
                             Elsewhere, Sample, Stalwart, check)
from stalwart_server import program as server_program
from watching import PATIENCE, watching

pytestmark = pytest.mark.skipif(server_program() is None, reason="STALWART names no server")

ALICE, BOB, CAROL = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol"))
NAME = "mail.example.org"
BODIES = [raw.partition(b"\n\n")[2] for raw in corpus.short(corpus.spam(), 30)]


def mail(subject: str, n: int) -> bytes:
    """The n-th text under this subject."""
    return crlf(f"From: news@example.com\nSubject: {subject}\n\n".encode() + BODIES[n])


MAILS = {subject: mail(subject, n) for n, subject in enumerate(
    ("offer", "invoice", "lottery", "minutes", "holiday", "newsletter"))}


@pytest.fixture(scope="module")
def module_stalwart(authority: Authority) -> Iterator[Stalwart]:
    if subprocess.run([*NETWORK_OF_ITS_OWN, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    folder = temporary_folder()
    with Stalwart(folder, authority, [ALICE, BOB, CAROL]) as stalwart:
        yield stalwart
    shutil.rmtree(folder)


@pytest.fixture
def stalwart(module_stalwart: Stalwart) -> Stalwart:
    """Users without mail, and no samples."""
    module_stalwart.clear()
    return module_stalwart


def decided(samples: list[Sample]) -> list[tuple[str | None, str, str]]:
    return [(sample.user, sample.subject, sample.kind) for sample in samples]


def change_minds(stalwart: Stalwart) -> dict[tuple[str, str], str]:
    """Three users, each with ways of their own; what each decided last."""
    for user in (ALICE, BOB, CAROL):
        stalwart.append(user, "INBOX", *MAILS.values())
    stalwart.move(ALICE, "offer", "INBOX", JUNK)
    stalwart.move(ALICE, "newsletter", "INBOX", JUNK)
    stalwart.move(ALICE, "newsletter", JUNK, "INBOX")  # after all it was none
    stalwart.move(BOB, "offer", "INBOX", JUNK, "COPY")
    stalwart.flag(BOB, "lottery", "INBOX", "+FLAGS", "$Junk")
    stalwart.flag(BOB, "minutes", "INBOX", "+FLAGS", "$Junk")
    stalwart.flag(BOB, "minutes", "INBOX", "-FLAGS", "$Junk")
    stalwart.move(BOB, "holiday", "INBOX", JUNK)
    stalwart.move(BOB, "holiday", JUNK, TRASH)  # which is no second decision
    stalwart.flag(CAROL, "invoice", "INBOX", "+FLAGS", "$NotJunk")
    return {(ALICE, "offer"): "spam", (ALICE, "newsletter"): "ham", (BOB, "offer"): "spam",
            (BOB, "lottery"): "spam", (BOB, "minutes"): "ham", (BOB, "holiday"): "spam",
            (CAROL, "invoice"): "ham"}


# ---- the server ----

def test_every_decision_is_a_sample(stalwart: Stalwart) -> None:
    """In the order in which they were made; a change of mind is one more, and the last of a message
    is what its user decided."""
    wanted = change_minds(stalwart)
    samples = stalwart.samples()
    assert decided(samples) == [
        (ALICE, "offer", "spam"), (ALICE, "newsletter", "spam"), (ALICE, "newsletter", "ham"),
        (BOB, "offer", "spam"), (BOB, "lottery", "spam"), (BOB, "minutes", "spam"),
        (BOB, "minutes", "ham"), (BOB, "holiday", "spam"), (CAROL, "invoice", "ham")]
    assert {(sample.user, sample.subject): sample.kind for sample in samples} == wanted


def test_the_server_drops_what_it_trained_on(stalwart: Stalwart) -> None:
    """All but the last of a message."""
    wanted = change_minds(stalwart)
    last = {(sample.user, sample.subject): sample for sample in stalwart.samples()}
    stalwart.train()
    assert set(stalwart.samples()) == set(last.values())
    assert {(sample.user, sample.subject): sample.kind for sample in last.values()} == wanted


def test_mail_that_arrives_is_no_sample(stalwart: Stalwart) -> None:
    """Where its own filter is off: neither in INBOX nor in Junk."""
    stalwart.append(ALICE, "INBOX", *MAILS.values())
    stalwart.append(ALICE, JUNK, *MAILS.values())
    assert stalwart.samples() == []


def test_the_same_mail_is_one_blob(stalwart: Stalwart) -> None:
    """Whoever has it, byte for byte; other mail is another."""
    for user in (ALICE, BOB):
        stalwart.append(user, "INBOX", MAILS["offer"], MAILS["invoice"])
        stalwart.move(user, "offer", "INBOX", JUNK)
        stalwart.move(user, "invoice", "INBOX", JUNK)
    blobs = {sample.blob: sample.subject for sample in stalwart.samples()}
    caller = stalwart.with_key(stalwart.key())
    assert len(blobs) == 2
    assert all(caller.download(blob) == (200, MAILS[subject]) for blob, subject in blobs.items())


def test_the_same_mail_delivered_to_two(stalwart: Stalwart) -> None:
    """What Stalwart puts on top for each of them is in their mailboxes, and not in the samples."""
    for user in (ALICE, BOB):
        stalwart.deliver(user, MAILS["offer"])
        assert stalwart.messages(user, "INBOX") == [
            f"Delivered-To: {user}\r\n".encode() + MAILS["offer"]]
        stalwart.move(user, "offer", "INBOX", JUNK)
    first, second = stalwart.samples()
    assert first.blob == second.blob
    assert stalwart.with_key(stalwart.key()).download(first.blob) == (200, MAILS["offer"])


def test_what_a_key_may(stalwart: Stalwart) -> None:
    """/api/account says it. Without a permission a call is refused, but for two of them: what one
    may not download is missing, and others' samples are not there."""
    stalwart.append(ALICE, "INBOX", MAILS["offer"])
    stalwart.move(ALICE, "offer", "INBOX", JUNK)
    [sample] = stalwart.samples()
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "sysSpamTrainingSampleQuery": (f"{SAMPLE}/query", {"calculateTotal": True}),
        "sysSpamTrainingSampleGet": (f"{SAMPLE}/get", {"ids": [sample.id]}),
        "sysSpamTrainingSampleDestroy": (f"{SAMPLE}/set", {"destroy": []}),
        "sysAccountGet": ("x:Account/get", {"ids": [stalwart.account_id(ALICE)],
                                            "properties": ["emailAddress"]})}
    for missing in (*calls, "fetchAnyBlob", "impersonate"):
        caller = stalwart.with_key(stalwart.key(without=[missing]))
        assert caller.permissions() == set(PERMISSIONS) - {missing}
        answers = dict(zip(calls, caller.post(*calls.values())))
        refused = {name for name, (said, _) in answers.items() if said == "error"}
        assert refused == {missing} & set(calls)
        assert caller.download(sample.blob)[0] == (404 if missing == "fetchAnyBlob" else 200)
        if missing not in ("sysSpamTrainingSampleQuery", "sysSpamTrainingSampleGet"):
            own = missing == "impersonate"
            assert answers["sysSpamTrainingSampleQuery"][1]["total"] == (0 if own else 1)
            assert answers["sysSpamTrainingSampleGet"][1]["notFound"] == [sample.id] * own


def test_too_many_requests(stalwart: Stalwart) -> None:
    """More than an account may: it says how long to wait."""
    stalwart.limit_requests(5)
    try:
        with Elsewhere(stalwart.port) as elsewhere:
            caller = stalwart.with_key(stalwart.key(), elsewhere.port)
            answers = [caller.request("GET", "/jmap/session") for _ in range(20)]
    finally:
        stalwart.limit_requests(None)
    status, headers, _ = next(answer for answer in answers if answer[0] != 200)
    assert status == 429 and 0 < int(headers["retry-after"]) <= 3


# ---- learning from it ----

@pytest.fixture
def configure(program: Program, stalwart: Stalwart) -> Callable[..., Program]:
    """The program, with this server as its only source."""
    def configured(rspamd: Any, key: str | None = None, lines: str = "", top: str = "",
                   url: str = stalwart.url) -> Program:
        password = secret_file(program.folder / "rspamd.password", rspamd.password + "\n")
        key_file = secret_file(program.folder / "stalwart.key", (key or stalwart.key()) + "\n")
        secret_file(program.config, (
            f'rspamd {{ url = "{rspamd.url}"  password-file = "{password}" }}\n'
            f'ledger = "{program.ledger}"\n'
            f'stalwart "{NAME}" {{ url = "{url}"  key-file = "{key_file}"  {lines} }}\n'
            f"{top}"))
        return program
    return configured


def learn(program: Program, *args: str, rc: int = 0) -> Result:
    result = program("learn", "--json", *args)
    assert result.rc == rc, result
    return result


def summed(result: Result) -> tuple[int, int]:
    summary = result.event("summary")
    return summary["learned_spam"], summary["learned_ham"]


def outcomes(result: Result) -> dict[str, int]:
    counts = result.event("summary")["outcomes"]
    return {name: n for name, n in counts.items() if n}


def taught(rspamd: FakeController) -> dict[bytes, str]:
    """What it was given last of each message: the class."""
    return {request.body: request.path.removeprefix("/learn") for request in rspamd.learns}


def test_each_users_last_decision_wins(stalwart: Stalwart, rspamd: FakeController,
                                       configure: Callable[..., Program]) -> None:
    """Each message is learned once, as what the user said of it in the end, byte for byte."""
    wanted = {MAILS[subject]: kind for (_, subject), kind in change_minds(stalwart).items()}
    learn(configure(rspamd))
    assert taught(rspamd) == wanted and len(rspamd.learns) == len(wanted)


def test_the_summary_is_rspamds_own_count(stack: Stack, stalwart: Stalwart,
                                          configure: Callable[..., Program]) -> None:
    """Then there is nothing to do."""
    program = configure(stack.rspamd)
    wanted = {subject: kind for (_, subject), kind in change_minds(stalwart).items()}
    counts = tuple(list(wanted.values()).count(kind) for kind in ("spam", "ham"))
    assert summed(learn(program)) == stack.rspamd.learns() == counts
    assert summed(learn(program)) == (0, 0) and stack.rspamd.learns() == counts


def test_with_tls(stalwart: Stalwart, authority: Authority, rspamd: FakeController,
                  configure: Callable[..., Program]) -> None:
    """Its certificate is checked."""
    wanted = {MAILS[subject]: kind for (_, subject), kind in change_minds(stalwart).items()}
    assert configure(rspamd, url=stalwart.tls_url)("learn").rc == 69 and rspamd.learns == []
    learn(configure(rspamd, url=stalwart.tls_url, lines=f'ca-file = "{authority.cert}"'))
    assert taught(rspamd) == wanted


def test_what_was_decided_since(stack: Stack, stalwart: Stalwart,
                                configure: Callable[..., Program]) -> None:
    """A later run learns what is new, and again what a user now takes for the other."""
    program = configure(stack.rspamd)
    stalwart.append(ALICE, "INBOX", MAILS["offer"], MAILS["invoice"])
    stalwart.move(ALICE, "offer", "INBOX", JUNK)
    assert summed(learn(program)) == stack.rspamd.learns() == (1, 0)
    stalwart.move(ALICE, "invoice", "INBOX", JUNK)
    stalwart.move(ALICE, "offer", JUNK, "INBOX")
    done = learn(program)
    assert done.event("summary")["flipped"] == 1 and stack.rspamd.learns() == (1, 1)


def test_what_the_server_dropped_between_two_runs(
        stack: Stack, stalwart: Stalwart, configure: Callable[..., Program]) -> None:
    """The last sample that a run saw is gone in the next one, which learns what came after it."""
    program = configure(stack.rspamd)
    stalwart.append(ALICE, "INBOX", MAILS["offer"], MAILS["invoice"])
    stalwart.move(ALICE, "offer", "INBOX", JUNK)
    assert summed(learn(program)) == stack.rspamd.learns() == (1, 0)
    stalwart.move(ALICE, "offer", JUNK, "INBOX")
    stalwart.move(ALICE, "invoice", "INBOX", JUNK)
    stalwart.train()
    assert learn(program).event("summary")["flipped"] == 1 and stack.rspamd.learns() == (1, 1)
    assert summed(learn(program)) == (0, 0) and stack.rspamd.learns() == (1, 1)


def test_watch(stack: Stack, stalwart: Stalwart, configure: Callable[..., Program]) -> None:
    """What a user decides is learned within the time between two looks."""
    stalwart.append(ALICE, "INBOX", *MAILS.values())
    with watching(configure(stack.rspamd, lines="poll = 1s"), accounts=1) as watch:
        for n, subject in enumerate(MAILS):
            stalwart.move(ALICE, subject, "INBOX", JUNK)
            wait_until(lambda: stack.rspamd.learns() == (n + 1, 0), PATIENCE, watch.err)
        stalwart.move(ALICE, "offer", JUNK, "INBOX")
        wait_until(lambda: stack.rspamd.learns() == (len(MAILS) - 1, 1), PATIENCE, watch.err)
        assert watch.err == ""


def test_a_dry_run_changes_nothing(stack: Stack, stalwart: Stalwart,
                                   configure: Callable[..., Program]) -> None:
    """Neither here nor there; afterwards everything is learned as if it had not been."""
    program = configure(stack.rspamd)
    wanted = change_minds(stalwart)
    samples = stalwart.samples()
    ledger = {path.name: path.read_bytes() for path in program.ledger.iterdir()}
    done = program("learn", "--dry-run")
    assert (done.rc, done.err) == (0, "") and stack.rspamd.learns() == (0, 0)
    assert sum(line.startswith("learn ") for line in done.out.splitlines()) == len(
        {subject for _, subject in wanted})
    assert stalwart.samples() == samples
    assert {path.name: path.read_bytes() for path in program.ledger.iterdir()} == ledger
    learn(program)
    assert sum(stack.rspamd.learns()) == len({subject for _, subject in wanted})


def test_accounts_that_are_left_out(stalwart: Stalwart, rspamd: FakeController,
                                    configure: Callable[..., Program]) -> None:
    wanted = {MAILS[subject]: kind for (user, subject), kind in change_minds(stalwart).items()
              if user == ALICE}
    learn(configure(rspamd, lines=f'except = {{ "{BOB}", "{CAROL}" }}'))
    assert taught(rspamd) == wanted


def test_what_was_delivered(stalwart: Stalwart, rspamd: FakeController,
                            configure: Callable[..., Program]) -> None:
    """One mail to two users, who agree: learned once, as it came in."""
    for user in (ALICE, BOB):
        stalwart.deliver(user, MAILS["offer"])
        stalwart.move(user, "offer", "INBOX", JUNK)
    assert outcomes(learn(configure(rspamd))) == {"learned": 1, "known": 1}
    assert [request.body for request in rspamd.learns] == [MAILS["offer"]]


def test_users_who_disagree(stalwart: Stalwart, rspamd: FakeController,
                            configure: Callable[..., Program]) -> None:
    """Of the same mail: the last word of them all counts."""
    for user in (ALICE, BOB):
        stalwart.append(user, "INBOX", MAILS["newsletter"])
        stalwart.move(user, "newsletter", "INBOX", JUNK)
    stalwart.move(ALICE, "newsletter", JUNK, "INBOX")
    learn(configure(rspamd))
    assert taught(rspamd) == {MAILS["newsletter"]: "ham"}


def test_a_wrong_key(stalwart: Stalwart, rspamd: FakeController,
                     configure: Callable[..., Program]) -> None:
    """77, in one line, and asked once."""
    change_minds(stalwart)
    done = configure(rspamd, "API_wrong")("learn")
    assert done.rc == 77 and done.err.count("\n") == 1 and NAME in done.err
    assert rspamd.learns == []


@pytest.mark.parametrize("missing", ["authenticate", "impersonate", "fetchAnyBlob",
                                     "sysSpamTrainingSampleQuery", "sysSpamTrainingSampleGet",
                                     "sysAccountGet"])
def test_a_key_without_a_permission(stalwart: Stalwart, rspamd: FakeController, missing: str,
                                    configure: Callable[..., Program]) -> None:
    """One line names the permission; nothing is settled, and a better key learns it all. Who it was
    has to be known only where some are left out."""
    wanted = {MAILS[subject]: kind for (_, subject), kind in change_minds(stalwart).items()}
    lines = f'except = {{ "spam@{DOMAIN}" }}'
    program = configure(rspamd, stalwart.key(without=[missing]), lines)
    for command in ("check", "learn"):
        done = program(command)
        said = [line for line in (done.out + done.err).splitlines() if missing in line]
        assert done.rc in (77, 78) and len(said) == 1, (command, done)
    assert rspamd.learns == [] and len(stalwart.samples()) == 9
    learn(configure(rspamd, lines=lines))
    assert taught(rspamd) == wanted


def test_learned_samples_are_destroyed(stack: Stack, stalwart: Stalwart,
                                       configure: Callable[..., Program]) -> None:
    """With after = destroy, when retention says so: the older ones of a message too; the mail stays
    where its user has it. A dry run destroys none."""
    change_minds(stalwart)
    program = configure(stack.rspamd, lines="after = destroy", top="retention { learned = 0s }\n")
    learn(program)
    before = [stalwart.messages(ALICE, mailbox) for mailbox in ("INBOX", JUNK)]
    assert program("expire", "--dry-run").rc == 0 and len(stalwart.samples()) == 9
    assert program("expire").rc == 0 and stalwart.samples() == []
    assert [stalwart.messages(ALICE, mailbox) for mailbox in ("INBOX", JUNK)] == before


def test_samples_are_kept(stack: Stack, stalwart: Stalwart,
                          configure: Callable[..., Program]) -> None:
    """They are Stalwart's, unless the configuration says that they go."""
    change_minds(stalwart)
    program = configure(stack.rspamd, top="retention { learned = 0s }\n")
    assert program("run").rc == 0 and len(stalwart.samples()) == 9


def test_destroying_without_the_permission(stalwart: Stalwart, rspamd: FakeController,
                                           configure: Callable[..., Program]) -> None:
    """check says so, and a run learns everything, and says so; where samples are kept it is not
    needed."""
    wanted = {MAILS[subject]: kind for (_, subject), kind in change_minds(stalwart).items()}
    key = stalwart.key(without=["sysSpamTrainingSampleDestroy"])
    program = configure(rspamd, key, "after = destroy", "retention { learned = 0s }\n")
    for command in ("check", "run"):
        done = program(command)
        said = (done.out + done.err).count("sysSpamTrainingSampleDestroy")
        assert done.rc in (77, 78) and said == 1, (command, done)
    assert taught(rspamd) == wanted and len(stalwart.samples()) == 9
    assert configure(rspamd, key)("check").rc == 0


def test_what_was_cut_short_is_learned_once(stack: Stack, stalwart: Stalwart,
                                            configure: Callable[..., Program]) -> None:
    """--max takes a part, and the next runs the rest."""
    program = configure(stack.rspamd)
    subjects = {subject for _, subject in change_minds(stalwart)}
    for _ in range(len(subjects)):
        learn(program, "--max", "2")
    assert sum(stack.rspamd.learns()) == len(subjects)


def test_more_samples_than_requests_allowed(stalwart: Stalwart, rspamd: FakeController,
                                            configure: Callable[..., Program]) -> None:
    """A run that is told to wait does so, or is for later; in the end each is learned once."""
    wanted = {MAILS[subject]: kind for (_, subject), kind in change_minds(stalwart).items()}
    stalwart.limit_requests(6)
    try:
        with Elsewhere(stalwart.port) as elsewhere:
            done = configure(rspamd, url=elsewhere.url)("learn")
            assert done.rc in (0, 75), done
    finally:
        stalwart.limit_requests(None)
    learn(configure(rspamd))
    assert taught(rspamd) == wanted and len(rspamd.learns) == len(wanted)


# ---- many decisions ----

class Users:
    """Three of them with the same mail, each of whom does with it what the dice say; and what each
    mail was last said to be."""

    def __init__(self, stalwart: Stalwart, seed: int) -> None:
        self.stalwart = stalwart
        self.dice = random.Random(seed)
        self.places = {(user, subject): "INBOX" for user in stalwart.users for subject in MAILS}
        self.flagged: set[tuple[str, str]] = set()
        self.said: dict[bytes, str] = {}
        for user in stalwart.users:
            stalwart.append(user, "INBOX", *MAILS.values())

    def act(self) -> None:
        user, subject = mine = self.dice.choice(list(self.places))
        place = self.places[mine]
        if place == "INBOX" and self.dice.random() < 0.4:
            self.flagged ^= {mine}
            change = "+FLAGS" if mine in self.flagged else "-FLAGS"
            self.stalwart.flag(user, subject, place, change, "$Junk")
            self.said[MAILS[subject]] = "spam" if mine in self.flagged else "ham"
            return
        target = self.dice.choice([each for each in ("INBOX", JUNK, TRASH) if each != place])
        self.stalwart.move(user, subject, place, target)
        self.places[mine] = target
        if target == JUNK:
            self.said[MAILS[subject]] = "spam"
        elif place == JUNK and target == "INBOX":
            self.said[MAILS[subject]] = "ham"


@pytest.mark.parametrize("seed", range(3))
def test_many_decisions(stalwart: Stalwart, rspamd: FakeController,
                        configure: Callable[..., Program], seed: int) -> None:
    """Whenever a run comes, and whatever Stalwart trained in between: rspamd's last word on each
    mail is that of the user who decided last."""
    users, program = Users(stalwart, seed), configure(rspamd)
    for _ in range(8):
        for _ in range(users.dice.randrange(1, 12)):
            users.act()
        if users.dice.random() < 0.4:
            stalwart.train()
        if users.dice.random() < 0.7:
            learn(program, *users.dice.choice(([], ["--max", "2"])))
    assert {MAILS[sample.subject]: sample.kind for sample in stalwart.samples()} == users.said
    learn(program)
    assert taught(rspamd) == users.said


# ---- users' own mailboxes over IMAP ----

def flags(stalwart: Stalwart, user: str, mailbox: str) -> list[bytes]:
    with stalwart.imap(user, mailbox) as link:
        return [line for line in check(link.uid("FETCH", "1:*", "(FLAGS)")) if line]


def test_with_one_log_in_for_all(stalwart: Stalwart, rspamd: FakeController,
                                 program: Program) -> None:
    """By the permission impersonate: what users moved into Junk and out of it is learned, and
    their mail stays as it is."""
    users = program.folder / "users"
    users.write_text("".join(f"{user}\n" for user in (ALICE, BOB, CAROL)))
    users.chmod(0o644)
    password = secret_file(program.folder / "rspamd.password", rspamd.password + "\n")
    secret = secret_file(program.folder / "learn.password", stalwart.passwords[LEARN] + "\n")
    secret_file(program.config, f"""
rspamd {{ url = "{rspamd.url}"  password-file = "{password}" }}
ledger = "{program.ledger}"
impersonate "{NAME}" {{
    url = "imap://127.0.0.1:{stalwart.imap_port}"
    insecure = true
    user = "%u%{LEARN}"
    password-file = "{secret}"
    users-file = "{users}"
    mailbox "\\\\Junk" {{ class = spam }}
    mailbox "INBOX" {{ class = ham }}
}}
retention {{ learned = 0s  known = 0s  skipped = 0s }}
""")
    for user in (ALICE, BOB, CAROL):
        stalwart.append(user, "INBOX", *MAILS.values())
    stalwart.move(ALICE, "offer", "INBOX", JUNK)
    stalwart.move(BOB, "lottery", "INBOX", JUNK)
    stalwart.flag(CAROL, "minutes", "INBOX", "+FLAGS", "$NotJunk")
    before = [flags(stalwart, user, box) for user in (ALICE, BOB, CAROL) for box in ("INBOX", JUNK)]
    assert program("check").rc == 0
    done = program("run")
    assert done.rc == 0, done
    assert taught(rspamd) == {MAILS["offer"]: "spam", MAILS["lottery"]: "spam",
                              MAILS["minutes"]: "ham"}
    stalwart.move(ALICE, "offer", JUNK, "INBOX")  # after all it was none
    done = program("run")
    assert done.rc == 0 and taught(rspamd)[MAILS["offer"]] == "ham", done
    stalwart.move(ALICE, "offer", "INBOX", JUNK)
    after = [flags(stalwart, user, box) for user in (ALICE, BOB, CAROL) for box in ("INBOX", JUNK)]
    assert [len(each) for each in after] == [len(each) for each in before]
    assert not any(b"Learn" in line for each in after for line in each)
