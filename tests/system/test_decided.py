"""What a person decided, on a server that lies on demand: which messages are fetched at all, and
what a header that strangers wrote can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import (CAPABILITIES, FakeController, FakeImap, Message, by_subject,
                   configure_all, endless, then_cut)
from program import Program, Result
from servers import crlf
from test_states import good, mail, verdicts

ALICE = "alice@example.org"
OWN = "keep = true  decided = true  mark = false"
JUNK = f'{OWN}  mailbox "INBOX" {{ class = spam }}'
INBOX = f'{OWN}  mailbox "INBOX" {{ class = ham }}'


@pytest.fixture
def rspamd() -> Iterator[FakeController]:
    with FakeController(by_subject) as controller:
        yield controller


def filed(body: str, field: str = "X-Spam: Yes") -> bytes:
    return field.encode() + b"\n" + mail(body)


def outcomes(done: Result) -> dict[str, int]:
    return {name: n for name, n in done.event("summary")["outcomes"].items() if n}


def fetched_bodies(imap: FakeImap) -> list[str]:
    return [line for line in imap.commands if "BODY.PEEK[]" in line]


def test_what_is_left_alone_is_not_fetched(program: Program, rspamd: FakeController) -> None:
    """Nor changed in any way, nor looked at again; opened only to be read."""
    with FakeImap([mail(f"w{n}") for n in range(300)]) as imap:
        configure_all(program, {ALICE: (imap, INBOX)}, rspamd)
        done = good(program("run", "--json"))
        assert outcomes(done) == {"undecided": 300}
        assert fetched_bodies(imap) == [] and rspamd.learns == []
        assert imap.count("UID FETCH") == 2 and imap.count("UID STORE") == 0
        assert imap.count("SELECT") == 0 and imap.count("EXAMINE") == 1
        imap.commands.clear()
        good(program("run"))
        assert imap.count("UID FETCH") == imap.count("UID SEARCH") == 0, imap.commands
        # Flags changed: one search tells whose.
        imap.messages[7].flags.add("$NotJunk")
        imap.messages[9].flags.add("\\Seen")
        imap.messages[300].flags.add("NonJunk")
        imap.modseq += 1
        imap.commands.clear()
        done = good(program("run", "--json"))
        assert outcomes(done) == {"learned": 2}
        assert {body for _, body in verdicts(rspamd)} == {"w6", "w299"}
        assert sum("KEYWORD" in line for line in imap.commands) == 1, imap.commands
        assert len(fetched_bodies(imap)) == 1, imap.commands
        imap.modseq += 1
        assert outcomes(good(program("run", "--json"))) == {}


@pytest.mark.parametrize("field", ["X-Spam: Yes", "X-Spam-Flag: YES",
                                   "X-Spam-Status: Yes, score=9.1 required=5",
                                   "X-Spam-Status:\n Yes", "X-Rspamd-Action: add header",
                                   "X-Rspamd-Action: rewrite subject", "X-Rspamd-Action: reject"])
def test_a_filters_mark(program: Program, rspamd: FakeController, field: str) -> None:
    with FakeImap([mail("mine"), filed("filters", field), filed("no", "X-Spam: No")]) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        done = good(program("run", "--json"))
        assert outcomes(done) == {"learned": 2, "undecided": 1}
        assert {body for _, body in verdicts(rspamd)} == {"mine", "no"}


def test_a_header_that_fills_everything(program: Program, rspamd: FakeController) -> None:
    """A stranger's fields of a megabyte cost 4 KiB, and hide the filter's own from us at most: then
    the message counts as the user's spam, which it is."""
    many = b"".join(b"X-Spam-Status: No, %d\n" % n for n in range(40000))
    with FakeImap([many + filed("w0"), filed("w1"), mail("w2")]) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        done = good(program("run", "--json"))
        assert outcomes(done) == {"learned": 2, "undecided": 1}
        assert any("<0.4096>" in line for line in imap.commands)


@pytest.mark.parametrize("said, means", [
    (b"BODY[HEADER.FIELDS (X-SPAM)]<0> NIL", {"learned": 1}),
    (b"BODY[HEADER.FIELDS (\"X-Spam\" \"X-Other\")]<0> {13}\r\nX-Spam: Yes\r\n", {"undecided": 1}),
    (b"BODY[HEADER.FIELDS (X-SPAM)] \"X-Spam: Yes\"", {"undecided": 1}),
    (b"BODY[HEADER.FIELDS (X-SPAM)]<0> {5}\r\n\0\xff\r\n:", {"learned": 1}),
    (b"BODY[HEADER.FIELDS (X-SPAM)]<0> {0}\r\n", {"learned": 1}),
    (b"", {"learned": 1}),
])
def test_what_servers_make_of_it(program: Program, rspamd: FakeController, said: bytes,
                                 means: dict[str, int]) -> None:
    size = len(crlf(mail("w0")))

    def lie(honest: bytes) -> bytes:
        return (b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Feb-2024 10:11:12 +0000" '
                b"RFC822.SIZE %d %s)\r\n" % (size, said) + honest.splitlines(True)[-1])

    with FakeImap([mail("w0")], {"METADATA": lie}) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        assert outcomes(good(program("run", "--json"))) == means


@pytest.mark.parametrize("said", [
    b"BODY[HEADER.FIELDS (X-SPAM)]<0> {10000000}\r\n", b"BODY[HEADER.FIELDS X {3}\r\nabc",
    b"BODY[HEADER.FIELDS (X-SPAM)]<0> ((a) b)", b"BODY[HEADER.FIELDS ((((("])
def test_what_no_server_may_make_of_it(program: Program, rspamd: FakeController,
                                       said: bytes) -> None:
    with FakeImap([mail("w0")], {"METADATA": lambda honest: b"* 1 FETCH (UID 1 " + said + b")\r\n"
                                 + honest.splitlines(True)[-1]}) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        done = program("run")
        assert done.rc == 69 and done.err.count("\n") == 1 and rspamd.learns == [], done


def test_an_endless_header(program: Program, rspamd: FakeController) -> None:
    head = b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS ("
    with FakeImap([mail("w0")], {"METADATA": lambda _: endless(head, b"X-Spam " * 100)}) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        assert program("run").rc == 69


def test_refused_and_cut(program: Program, rspamd: FakeController) -> None:
    """A server that does not know such a FETCH or SEARCH is named; a cut one goes on."""
    with FakeImap([mail("w0")], {"METADATA": lambda honest: honest.splitlines(True)[-1].replace(
            b"OK done", b"BAD what?")}) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        done = program("run")
        assert done.rc != 0 and done.err.count("\n") == 1 and "what?" in done.err, done
        said = []

        def cut(honest: bytes) -> bytes | Iterator[bytes]:
            said.append(honest)
            return then_cut(honest[:len(honest) // 2]) if len(said) == 1 else honest

        imap.lies = {"METADATA": cut}
        good_enough = program("run")
        assert good_enough.rc == 0 and len(rspamd.learns) == 1, good_enough


def test_without_condstore(program: Program, rspamd: FakeController) -> None:
    """Flags may have changed at any time: a search a run, and nothing fetched again."""
    with FakeImap([mail("w0"), Message(crlf(mail("w1")), {"NotJunk"})],
                  capabilities=CAPABILITIES.replace(" CONDSTORE", "")) as imap:
        configure_all(program, {ALICE: (imap, INBOX)}, rspamd)
        assert outcomes(good(program("run", "--json"))) == {"learned": 1, "undecided": 1}
        imap.commands.clear()
        assert outcomes(good(program("run", "--json"))) == {}
        assert imap.count("UID SEARCH") == 1 and fetched_bodies(imap) == []
        imap.messages[1].flags.add("NonJunk")
        assert outcomes(good(program("run", "--json"))) == {"learned": 1}


def test_our_marks_of_before_are_not_believed(program: Program, rspamd: FakeController) -> None:
    """Where we set none, whoever set them did so for some reason of his own."""
    with FakeImap([Message(crlf(mail("w0")), {"$LearnedSpam"})]) as imap:
        configure_all(program, {ALICE: (imap, JUNK)}, rspamd)
        assert outcomes(good(program("run", "--json"))) == {"learned": 1}
        assert imap.flags() == {1: {"$LearnedSpam"}}


def test_an_account_that_asks_for_nothing_is_as_before(program: Program,
                                                       rspamd: FakeController) -> None:
    """keep alone: no header is asked for, everything counts and is marked."""
    with FakeImap([filed("w0"), mail("w1")]) as imap:
        configure_all(program, {ALICE: (imap, 'keep = true  mailbox "INBOX" { class = spam }')},
                      rspamd)
        assert outcomes(good(program("run", "--json"))) == {"learned": 2}
        assert not any("HEADER.FIELDS" in line for line in imap.commands)
        assert imap.flags() == {1: {"$LearnedSpam"}, 2: {"$LearnedSpam"}}


def test_a_quorum_of_owners(program: Program, rspamd: FakeController) -> None:
    """Two users who moved the same spam into Junk agree; one alone is held, and what a filter filed
    for a third does not count."""
    bob, carol = "bob@example.org", "carol@example.org"
    with FakeImap([mail("both"), mail("one")]) as first, FakeImap([mail("both")]) as second, \
            FakeImap([filed("one")]) as third:
        configure_all(program, {ALICE: (first, JUNK), bob: (second, JUNK), carol: (third, JUNK)},
                      rspamd, top="reports { quorum = 2 }\n")
        done = good(program("run", "--json"))
        assert outcomes(done) == {"learned": 1, "known": 1, "held": 1, "undecided": 1}, done
        assert verdicts(rspamd) == [("spam", "both")]
        third.add(mail("one"))
        assert outcomes(good(program("run", "--json"))) == {"learned": 1, "known": 1}
