"""What is tried on each server, in the order of the table. A check says nothing when all is
well; what is wrong it says by Trial.expect, and goes on."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable

from client import Client, Refused
from servers import quoted
from trial import (SHORT, Between, ServerFault, Skip, Trial, again, keywords, mails, plain,
                   words_of)

Check = Callable[[Trial], None]
CHECKS: list[tuple[str, Check]] = []

SPAM = 'mailbox "{}" {{ class = spam }}'
HAM = 'mailbox "{}" {{ class = ham }}'
AT_ONCE = "retention { learned = 0s }"
MANY_KEYWORDS = 130  # who takes so many takes any number, as far as mail clients go


def row(name: str) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        CHECKS.append((name, check))
        return check
    return add


def inbox(kind: str = SPAM) -> str:
    return kind.format("INBOX")


def exact(t: Trial, policy: str) -> str:
    """A retention block as this server needs it."""
    with t.server.client(t.server.new_user()) as client:
        exactly = client.can("UIDPLUS")
    return f"retention {{ {policy} {'' if exactly else 'without-uidplus = true '}}}"


# ---- log-ins ----

@row("log-in over TLS")
def login_tls(t: Trial) -> None:
    if not t.server.port:
        raise Skip("STARTTLS only")
    user, _ = t.user()
    t.configure({user: inbox()})
    t.ran(t("check"))
    t.expect(f"account {user}: mailbox INBOX: 0 messages" in t.last.out, t.last.out)


@row("log-in over STARTTLS")
def login_starttls(t: Trial) -> None:
    if not t.server.has_starttls():
        raise Skip("the server has no STARTTLS")
    user, _ = t.user()
    t.configure({user: inbox()}, starttls=True)
    t.ran(t("check"))
    t.expect(f"account {user}: mailbox INBOX: 0 messages" in t.last.out, t.last.out)


@row("wrong password")
def login_wrong(t: Trial) -> None:
    """Exit 77, and the account is named; the words are the server's."""
    user, _ = t.user()
    t.configure({user: inbox()}, password="not this one")
    done = t.ran(t("learn"), 77)
    t.expect(user in done.err, f"the account is not named: {done.err}")


# ---- learning ----

@row("learn, by rspamd's counters")
def learn(t: Trial) -> None:
    """Each content once; what is known or too short is counted as such; nothing is read for the
    user, and no message changes."""
    (spam, spams), (ham, hams) = t.user(), t.user()
    sent = [*mails("spam")[:6], again(mails("spam")[0]), SHORT]
    raws = spams.append("INBOX", *sent)
    changed = [plain(raw) for raw in raws] != [plain(raw) for raw in sent]
    if changed:
        t.note("the server changes messages that it is given")
    hams.append("INBOX", *mails("ham")[:4])
    t.configure({spam: inbox(), ham: inbox(HAM)})
    done = t.ran(t("learn", "--json"))
    t.learned(6, 4)
    summary = done.event("summary")
    counts = {name: summary[name] for name in ("learned", "known", "skipped", "failed")}
    t.expect(counts == {"learned": 10, "known": 1, "skipped": 1, "failed": 0}, f"{counts}")
    t.expect(t.holds(spams, "INBOX", raws), "messages changed")
    t.expect(not any(r"\Seen" in flags for flags in spams.flags("INBOX").values()),
             "messages were marked as read")


@row("dry run changes nothing")
def dry_run(t: Trial) -> None:
    """Not the mail, not the ledger, not rspamd; and what it says is what happens."""
    user, client = t.user()
    client.append("INBOX", *mails("spam")[:3])
    client.append("INBOX", mails("spam")[3], flags=r"\Seen \Flagged")
    flags = client.flags("INBOX")
    t.configure({user: inbox()}, exact(t, "learned = 0s"))
    t.ran(t("run", "--dry-run"))
    t.learned(0, 0)
    t.expect(client.flags("INBOX") == flags, "flags changed")
    t.expect(not t.ledger.exists(), "it made a ledger")
    t.configure({user: inbox()})
    t.ran(t("learn"))
    t.learned(4, 0)
    flags, sums = client.flags("INBOX"), ledger_sums(t)
    t.configure({user: inbox()}, exact(t, "learned = 0s"))
    done = t.ran(t("expire", "--dry-run", "--json"))
    t.expect(done.event("summary")["expired"] == 3, f"it would expire 3, and says {done.out}")
    t.expect(client.flags("INBOX") == flags and ledger_sums(t) == sums, "it changed something")
    done = t.ran(t("expire", "--json"))
    t.expect(done.event("summary")["expired"] == 3, f"it did something else: {done.out}")


def ledger_sums(t: Trial) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in t.ledger.iterdir() if path.name not in ("lock.mdb", "run.lock")}


@row("marks")
def marks(t: Trial) -> None:
    """Ours are there, and what users set stays. Where a mailbox takes no keywords the ledger alone
    remembers."""
    user, client = t.user()
    can = t.marks(client, "INBOX")
    client.append("INBOX", *mails("spam")[:3], SHORT)
    client.append("INBOX", mails("spam")[3],
                  flags=r"\Seen \Answered" + (" $Label1" if can else ""))
    before = client.flags("INBOX")
    t.configure({user: inbox()})
    t.ran(t("learn"))
    t.learned(4, 0)
    after = client.flags("INBOX")
    for uid, flags in after.items():
        short = plain(client.bodies("INBOX")[uid]) == plain(SHORT)
        wanted = {"$LearnSkipped" if short else "$LearnedSpam"} if can else set()
        t.expect(keywords(flags) == wanted, f"UID {uid} bears {sorted(flags)} instead of {wanted}")
        theirs = {f.lower() for f in flags} - {k.lower() for k in keywords(flags)}
        t.expect(theirs == {f.lower() for f in before[uid]}, f"UID {uid}: other flags changed")
    if not can:
        t.note("no keywords: PERMANENTFLAGS "
               f"({client.permanent_flags('INBOX')}); the ledger alone remembers")
    t.ran(t("learn"))
    t.learned(4, 0)


@row("a changed verdict changes the mark")
def flip(t: Trial) -> None:
    """A message that was learned as spam is copied, marks and all, to where ham lies."""
    user, client = t.user()
    other = t.box("Wanted")
    client.create(other)
    if not t.marks(client, other):
        raise Skip("no keywords")
    client.append("INBOX", mails("spam")[0])
    accounts = {user: inbox() + HAM.format(other)}
    t.configure(accounts)
    t.ran(t("learn"))
    client.copy("INBOX", client.flags("INBOX"), other)
    copied = [keywords(flags) for flags in client.flags(other).values()]
    if copied != [{"$LearnedSpam"}]:
        t.note("COPY does not keep keywords")
    t.ran(t("learn"))
    t.expect(t.rspamd.learns()[1] == 1, f"rspamd learned no ham: {words_of(t.last)}")
    found = [keywords(flags) for flags in client.flags(other).values()]
    t.expect(found == [{"$LearnedHam"}], f"the copy bears {found}")


@row("the second run is cheap")
def second(t: Trial) -> None:
    """No SEARCH, FETCH or STORE where nothing is new. Where only that tells: one SEARCH, and one
    FETCH of the sizes of a few, lest a restored store go unnoticed."""
    user, client = t.user()
    client.append("INBOX", *mails("spam")[:5])
    t.configure({user: inbox()})
    t.ran(t("learn"))
    proxy = t.between()
    t.configure({user: inbox()}, via=proxy)
    t.ran(t("learn"))
    t.learned(5, 0)
    t.expect(b"SELECT" in proxy.commands, "it did not even look")
    search = 0 if client.gives_uidnext("INBOX") else 1
    fetch = 0 if not search and client.can("CONDSTORE") else 1
    if search:
        t.note("no UIDNEXT in the answer to SELECT: one SEARCH")
    if fetch:
        t.note("nothing tells whether it changed: one FETCH of a few sizes")
    for verb, allowed in ((b"UID SEARCH", search), (b"UID FETCH", fetch), (b"UID STORE", 0)):
        count = proxy.commands.count(verb)
        t.expect(count <= allowed, f"it sent {verb.decode()} {count} times")


# ---- expiring ----

@row("expire by delete")
def expire_delete(t: Trial) -> None:
    """What was learned goes; what is too short, flagged or not due stays."""
    user, client = t.user()
    short = client.append("INBOX", *mails("spam")[:4], SHORT)[-1]
    flagged = client.append("INBOX", mails("spam")[4], flags=r"\Flagged")[0]
    t.configure({user: inbox()}, exact(t, "learned = 0s"))
    t.ran(t("run"))
    t.learned(5, 0)
    t.expect(t.holds(client, "INBOX", [short, flagged]),
             f"left: {sorted(map(len, client.bodies('INBOX').values()))} instead of the short and "
             f"the flagged one: {words_of(t.last)}")
    t.ran(t("run"))
    t.learned(5, 0)


def moving(t: Trial, hide: tuple[str, ...] = ()) -> None:
    user, client = t.user()
    archive = t.box("Old reports")
    client.create(archive)
    can = t.marks(client, archive)
    raws = client.append("INBOX", *mails("spam")[:5])
    proxy = t.between(hide=hide) if hide else None
    policy = exact(t, f'learned = 0s action = move "{archive}"')
    t.configure({user: inbox()}, policy, via=proxy)
    t.ran(t("run"))
    t.learned(5, 0)
    t.expect(t.holds(client, "INBOX", []), f"not all went: {words_of(t.last)}")
    t.expect(t.holds(client, archive, raws), f"{len(client.bodies(archive))} in the archive "
             "instead of 5, or they changed")
    for flags in client.flags(archive).values():
        t.expect(r"\Deleted" not in flags, "what was moved is \\Deleted")
        t.expect(not can or keywords(flags) in ({"$LearnedSpam"}, set()), f"marks: {flags}")
    if hide:
        assert proxy
        t.expect(b"UID COPY" in proxy.commands and b"UID MOVE" not in proxy.commands,
                 "MOVE was not hidden")
    t.ran(t("run"))
    t.expect(len(client.bodies(archive)) == 5, "the second run moved something")


def copies(t: Trial) -> None:
    """ServerFault where COPY does not copy."""
    user, client = t.user()
    client.create(t.box("Copies"))
    raw = client.append("INBOX", mails("spam")[0])[0]
    client.copy("INBOX", client.flags("INBOX"), t.box("Copies"))
    found = list(client.bodies(t.box("Copies")).values())
    if [plain(copy) for copy in found] != [plain(raw)]:
        raise ServerFault(f"COPY of a message of {len(raw)} bytes makes one of "
                          f"{', '.join(str(len(copy)) for copy in found)}")


@row("expire by move")
def expire_move(t: Trial) -> None:
    moving(t)


# IMAP4rev2 has MOVE and UIDPLUS inside.
NO_MOVE = ("MOVE", "IMAP4rev2")
NO_UIDPLUS = ("UIDPLUS", "IMAP4rev2")


@row("expire by move, as without MOVE")
def expire_copy(t: Trial) -> None:
    """COPY, \\Deleted, EXPUNGE."""
    copies(t)
    moving(t, NO_MOVE)


@row("expire as without UIDPLUS")
def expire_bare(t: Trial) -> None:
    """Only where the configuration allows it; and nothing is marked \\Deleted before it is known
    that it can be removed."""
    user, client = t.user()
    raws = client.append("INBOX", *mails("spam")[:3])
    proxy = t.between(hide=NO_UIDPLUS)
    t.configure({user: inbox()}, AT_ONCE, via=proxy)
    done = t("run")
    t.learned(3, 0)
    t.expect(done.rc != 0, "it is not refused")
    t.expect("UIDPLUS" in done.err, f"it does not say why: {words_of(done)}")
    t.need(undeleted(client), "refused, and yet messages are marked \\Deleted")

    short = client.append("INBOX", SHORT, flags=r"\Deleted")[0]
    theirs = max(client.flags("INBOX"))
    t.configure({user: inbox()}, "retention { learned = 0s without-uidplus = true }", via=proxy)
    done = t("run")
    t.expect(t.holds(client, "INBOX", [*raws, short]),
             f"something was expunged beside what another client marked: {words_of(done)}")
    t.expect(undeleted(client, but=theirs), "messages that could not be removed are left \\Deleted")
    client.store("INBOX", [theirs], "-FLAGS", r"\Deleted")
    t.ran(t("run"))
    t.expect(t.holds(client, "INBOX", [short]),
             f"nothing is in the way any more, and they did not go: {words_of(t.last)}")
    t.learned(3, 0)


def undeleted(client: Client, mailbox: str = "INBOX", but: int = 0) -> bool:
    return not any(r"\Deleted" in flags for uid, flags in client.flags(mailbox).items()
                   if uid != but)


# ---- mailboxes ----

@row("special use")
def special_use(t: Trial) -> None:
    """mailbox "\\\\Junk" is the folder that the server says it is."""
    user, client = t.user()
    junk = find_junk(client)
    if not junk:
        junk = t.box("Unwanted")
        try:
            client.create(junk, use=r"\Junk")
        except Refused:
            raise Skip("the server has no special use") from None
        if find_junk(client) != junk:
            raise Skip("the server keeps no special use")
    client.append(junk, *mails("spam")[:3])
    t.configure({user: r'mailbox "\\Junk" { class = spam }'})
    t.ran(t("learn"))
    t.learned(3, 0)
    t.ran(t("check"))


def find_junk(client: Client) -> str:
    for words in ('"" "*" RETURN (SPECIAL-USE)', '(SPECIAL-USE) "" "*"', '"" "*"'):
        with contextlib.suppress(Refused):
            for attributes, name in client.list(words):
                if r"\junk" in attributes.lower():
                    return name
    return ""


def names(t: Trial, *wanted: str, user: str = "") -> None:
    """Mailboxes with such names are learned from, each."""
    user = user or t.server.new_user()
    client = t.client(user)
    had = []
    for name in wanted:
        try:
            client.create(t.box(name))
            had.append(t.box(name))
        except Refused as error:
            t.note(f"it refuses the name {name}: {error}")
    if not had:
        raise Skip("the server refuses such names")
    for mailbox, raw in zip(had, mails("spam"), strict=False):
        client.append(mailbox, raw)
    lines = "\n".join(SPAM.format(mailbox) for mailbox in had)
    t.configure({user: lines}, exact(t, "learned = 0s"))
    t.ran(t("check"))
    t.ran(t("run"))
    t.learned(len(had), 0)
    for mailbox in had:
        t.expect(not client.flags(mailbox), f"{mailbox}: nothing was expired")


@row("names with blanks and quotes")
def names_blank(t: Trial) -> None:
    names(t, "Spam reports", "it's (not) spam")


@row("names with & and non-ASCII")
def names_utf7(t: Trial) -> None:
    names(t, "R&D", "Größe", "迷惑メール", "Спам & Ко")


@row("names with * and %")
def names_wild(t: Trial) -> None:
    names(t, "100% spam", "spam*")


@row("names in a hierarchy")
def names_deep(t: Trial) -> None:
    user, client = t.user()
    separator = client.separator()
    if not separator:
        raise Skip("no hierarchy")
    parents = f"Reports{separator}2026"
    for name in ("Reports", parents):
        with contextlib.suppress(Refused):
            client.create(t.box(name))
    names(t, f"{parents}{separator}Spam", user=user)


@row("UIDVALIDITY changes")
def uidvalidity(t: Trial) -> None:
    """A mailbox is deleted and made again: nothing of it is taken for what was there before."""
    user, client = t.user()
    box, raws = t.box("Reports"), mails("spam")[:6]
    client.create(box)
    client.append(box, *raws[:3])
    before = client.uidvalidity(box)
    t.configure({user: SPAM.format(box)})
    t.ran(t("learn"))
    client.delete(box)
    time.sleep(1.1)  # it is a time, on many
    client.create(box)
    second = client.append(box, *raws[2:])
    if client.uidvalidity(box) == before and set(client.flags(box)) & {1, 2, 3}:
        raise ServerFault(f"UIDVALIDITY {before} and the same UIDs again after DELETE and CREATE")
    t.configure({user: SPAM.format(box)}, exact(t, "learned = 0s"))
    t.ran(t("expire"))
    t.expect(t.holds(client, box, second), "it expired what it does not know")
    t.configure({user: SPAM.format(box)})
    t.ran(t("learn"))
    t.learned(6, 0)
    if t.marks(client, box):
        t.expect(all(keywords(flags) == {"$LearnedSpam"} for flags in client.flags(box).values()),
                 "not all are marked")


@row("a deleted mailbox")
def deleted(t: Trial) -> None:
    """The others are learned from; the error names it and has a cure."""
    user, client = t.user()
    box = t.box("Reports")
    client.create(box)
    client.append(box, mails("spam")[0])
    client.append("INBOX", mails("spam")[1])
    accounts = {user: SPAM.format(box) + inbox()}
    t.configure(accounts)
    t.ran(t("learn"))
    client.delete(box)
    client.append("INBOX", mails("spam")[2])
    done = t("learn")
    t.learned(3, 0)
    t.expect(done.rc == 78, f"exit {done.rc} instead of 78: {words_of(done)}")
    # A cure stands behind a semicolon: what to do about it, or what there is instead.
    t.named(done, user, box, r";.*(create|make|take|remove|correct|change|configur|there is|mean)")


# ---- others at work, and broken mail ----

@row("another client expunges meanwhile")
def meanwhile(t: Trial) -> None:
    """Between the look and the bodies. What a server gives in their place is not the message."""
    user, client = t.user()
    other = t.client(user)
    raws = client.append("INBOX", *mails("spam")[:12])
    uids = sorted(client.flags("INBOX"))
    gone = [uids[n] for n in (2, 5, 8)]
    proxy = t.between(before=b"BODY.PEEK[]", do=lambda: other.expunge("INBOX", gone))
    t.configure({user: inbox()}, exact(t, "skipped = 0s"), via=proxy)
    done = t("run")
    t.expect(not proxy.error and proxy.do is None, f"they were not expunged: {proxy.error}")
    t.expect(done.rc in (0, 1), f"exit {done.rc}: {words_of(done)}")
    honest(t)
    t.ran(t("run"))
    honest(t)
    left = [raw for n, raw in enumerate(raws) if n not in (2, 5, 8)]
    t.expect(t.holds(client, "INBOX", left), "not exactly the other nine are left")
    contents = [content for content in t.records("list") if content["outcome"] == "learned"]
    t.expect(9 <= len(contents) <= 12 and t.rspamd.learns() == (len(contents), 0),
             f"{len(contents)} learned by the ledger, {t.rspamd.learns()[0]} by rspamd")


@row("... and before a STORE or a MOVE")
def meanwhile_later(t: Trial) -> None:
    """What is gone cannot be marked or moved. The others are, once; at the latest by the next
    run."""
    user, client = t.user()
    other, archive = t.client(user), t.box("Old reports")
    client.create(archive)
    raws = client.append("INBOX", *mails("spam")[:6])
    uids = sorted(client.flags("INBOX"))
    can = t.marks(client, "INBOX")
    proxy = t.between(before=b"+FLAGS", do=lambda: other.expunge("INBOX", uids[1:2]))
    t.configure({user: inbox()}, via=proxy)
    t.ran(t("learn"))
    t.learned(6, 0)
    if can:
        t.expect(not proxy.error and proxy.do is None, f"it was not expunged: {proxy.error}")
        found = [keywords(flags) for flags in client.flags("INBOX").values()]
        t.expect(found == [{"$LearnedSpam"}] * 5, f"marks of the other five: {found}")
    else:
        other.expunge("INBOX", uids[1:2])
    gone = [uids[3]]
    proxy = t.between(before=b"UID MOVE" if client.can("MOVE") else b"UID COPY",
                      do=lambda: other.expunge("INBOX", gone))
    t.configure({user: inbox()}, exact(t, f'learned = 0s action = move "{archive}"'), via=proxy)
    done = t("expire")
    t.expect(done.rc in (0, 75), f"expire: exit {done.rc}, which is not temporary: "
             f"{words_of(done)}")
    t.expect(not proxy.error and proxy.do is None, f"it was not expunged: {proxy.error}")
    t.ran(t("expire"))
    left = [raw for n, raw in enumerate(raws) if n not in (1, 3)]
    t.expect(t.holds(client, archive, left), f"{len(client.bodies(archive))} in the archive "
             "instead of 4")
    t.expect(t.holds(client, "INBOX", []), "not all of the others went")


def honest(t: Trial) -> None:
    """Nothing but the real messages was settled: all of them can be learned."""
    for content in t.records("list"):
        t.expect(content["outcome"] in ("learned", "known", "sure", "none", "failed"),
                 f"a content that nobody sent is {content['outcome']}")


@row("a message that the server cannot read")
def unreadable(t: Trial) -> None:
    """It does not go, also where the server gives something in its place; and it is learned when it
    can be read again."""
    if t.server.no_break:
        raise Skip(t.server.no_break)
    user, client = t.user()
    raws = mails("spam")[:4]
    here = b"These words are in one message only, %s." % user.encode()
    raws[1] += here + b"\n"
    raws = client.append("INBOX", *raws)
    client.leave()
    # Without marks in its way: the ledger alone says what may go.
    t.configure({user: inbox()}, exact(t, "skipped = 0s"), via=t.between(flags=[r"\*"]))
    t.server.break_message(user, "INBOX", here)
    try:
        t.client(user).sizes("INBOX")
        first = t("run")
        second = t("run")
    except OSError as error:
        raise ServerFault(f"FETCH of the sizes of all in that mailbox: {error}") from None
    finally:
        t.server.mend_message()
    t.note(f"exit {first.rc} and {second.rc} while it cannot be read")
    t.expect(t.rspamd.learns() == (3, 0),
             f"with one that cannot be read, {t.rspamd.learns()[0]} of the other 3 were learned "
             f"in two runs (exit {first.rc}, {second.rc}): {words_of(second)}")
    t.need(t.holds(client, "INBOX", raws), "a message that nobody could read was expunged")
    t.ran(t("run"))
    t.learned(4, 0)
    t.expect(t.holds(client, "INBOX", raws), "messages were lost")


# ---- what is forbidden, full, or refused ----

@row("error texts")
def errors(t: Trial) -> None:
    """They name account, mailbox and operation, also where the words are the server's."""
    user, client = t.user()
    box, archive = t.box("Reports"), t.box("Old reports")
    client.create(box)
    client.append(box, *mails("spam")[:2])
    accounts = {user: SPAM.format(box)}
    t.configure(accounts, exact(t, f'learned = 0s action = move "{archive}"'))
    done = t("run")
    t.expect(done.rc != 0, "moved to where nothing is, exit 0")
    t.named(done, user, box, "mov|cop")
    t.named(done, user, archive, "mov|cop")
    client.create(archive)
    words = {b"UID MOVE": b"UID XMVE", b"UID COPY": b"UID XCPY"}
    for what, change, retention in (
            ("mov|cop", words, f'action = move "{archive}"'),
            ("delet|expunge|remov", {b"UID EXPUNGE": b"UID EXPXNGE", b" EXPUNGE": b" EXPXNGE"},
             "")):
        t.configure(accounts, exact(t, f"learned = 0s {retention}"),
                    via=t.between(change=change))
        done = t("expire")
        t.expect(done.rc != 0, f"refused, exit 0: {words_of(done)}")
        t.named(done, user, box, what)
    t.configure(accounts, via=t.between(change={b"UID FETCH": b"UID FXTCH"}))
    client.append(box, mails("spam")[2])
    done = t("learn")
    t.expect(done.rc != 0, f"refused, exit 0: {words_of(done)}")
    t.named(done, user, box, "give|fetch|read|get")


@row("rights (ACL)")
def rights(t: Trial) -> None:
    """Where only reading is allowed it learns, and the ledger remembers; check and the dry run of
    expire say what expire will meet."""
    user, client = t.user()
    if not client.can("ACL"):
        raise Skip("no ACL")
    box = t.box("Reports")
    client.create(box)
    client.append(box, *mails("spam")[:3])
    t.server.set_rights(user, box, "lra")
    reader = t.client(user)
    has = reader.run(f"MYRIGHTS {quoted(box)}", of="MYRIGHTS")[-1].text.split()[-1]
    t.note(f"rights that are left: {has}")
    if set(has) & set("ted"):
        raise Skip(f"its owner keeps the rights {has}")
    accounts = {user: SPAM.format(box)}
    t.configure(accounts)
    t.expect(t("learn").rc == 0, f"learn with rights {has}: exit {t.last.rc}: {words_of(t.last)}")
    t.learned(3, 0)
    t.expect(t("learn").rc == 0, f"again: exit {t.last.rc}: {words_of(t.last)}")
    t.learned(3, 0)
    for policy in ("learned = 0s", f'learned = 0s action = move "{t.box("Old reports")}"'):
        if "move" in policy:
            client.create(t.box("Old reports"))
        t.configure(accounts, exact(t, policy))
        check, dry, real = t("check"), t("expire", "--dry-run"), t("expire")
        t.expect(real.rc != 0, f"expire cannot remove anything, and exits 0 ({policy})")
        t.expect(check.rc == real.rc, f"check exits {check.rc}, expire {real.rc} ({policy}): "
                 f"{words_of(real)}")
        t.expect(dry.rc == real.rc, f"the dry run exits {dry.rc}, expire {real.rc} ({policy}): "
                 f"{words_of(real)}")
        for done in (check, dry, real):
            t.named(done, user, box, "right|ACL|read-only|may ")
    t.expect(len(reader.flags(box)) == 3 and undeleted(reader, box), "the mail changed")


@row("rights (PERMANENTFLAGS)")
def rights_flags(t: Trial) -> None:
    """The same where there is no ACL, and \\Deleted is no permanent flag."""
    user, client = t.user()
    raws = client.append("INBOX", *mails("spam")[:3])
    t.configure({user: inbox()})
    t.ran(t("learn"))
    proxy = t.between(hide=["ACL"], flags=[r"\Deleted"])
    t.configure({user: inbox()}, exact(t, "learned = 0s"), via=proxy)
    check, dry, real = t("check"), t("expire", "--dry-run"), t("expire")
    t.expect(real.rc != 0, "expire must not remove anything, and exits 0")
    t.expect(check.rc == real.rc, f"check exits {check.rc}, expire {real.rc}")
    t.expect(dry.rc == real.rc, f"the dry run exits {dry.rc}, expire {real.rc}")
    for done in (check, dry, real):
        t.named(done, user, "INBOX", "right|ACL|read-only|may |PERMANENTFLAGS")
    t.expect(t.holds(client, "INBOX", raws) and undeleted(client), "the mail changed")


def fill_keywords(client: Client, box: str, most: int) -> int:
    """Set up to so many keywords on the one message there; how many stuck."""
    uid = min(client.flags(box))
    client.select(box, read_only=False)
    with contextlib.suppress(Refused):
        for n in range(most):
            client.run(f"UID STORE {uid} +FLAGS (Label{n})")
    return sum(flag.lower().startswith("label") for flag in client.flags(box)[uid])


def with_keywords(t: Trial, free: int) -> None:
    """Learn and expire in a mailbox that takes so many more keywords."""
    user, client = t.user()
    if not t.marks(client, "INBOX"):
        raise Skip("no keywords")
    boxes = [t.box("Full"), t.box("Reports")]
    for box in boxes:
        client.create(box)
        short = client.append(box, SHORT)[0]
    slots = fill_keywords(client, boxes[0], MANY_KEYWORDS)
    if slots == MANY_KEYWORDS and free:
        raise Skip(f"it takes {MANY_KEYWORDS} and more")
    box = boxes[1]
    t.expect(fill_keywords(client, box, slots - free) == slots - free, "slots differ")
    t.note(f"keywords in a mailbox: {slots}" + (" and more" if slots == MANY_KEYWORDS else ""))
    client.append(box, *mails("spam")[:3])
    t.configure({user: SPAM.format(box)})
    done = t("learn")
    t.learned(3, 0)
    t.expect(done.rc == 0, f"learn: exit {done.rc}: {words_of(done)}")
    done = t("learn")
    t.expect(done.rc == 0, f"again: exit {done.rc}: {words_of(done)}")
    t.learned(3, 0)
    t.configure({user: SPAM.format(box)}, exact(t, "learned = 0s"))
    done = t("run")
    t.expect(done.rc == 0, f"run: exit {done.rc}: {words_of(done)}")
    t.expect(t.holds(client, box, [short]), f"what was learned did not go: {words_of(done)}")


@row("all keyword slots full")
def keywords_full(t: Trial) -> None:
    with_keywords(t, 0)


@row("one keyword slot free")
def keywords_one(t: Trial) -> None:
    with_keywords(t, 1)


@row("quota")
def quota(t: Trial) -> None:
    """No room for a second copy: the error is named, nothing is lost, marked or doubled; and it
    goes on when there is room."""
    if t.server.no_quota:
        raise Skip(t.server.no_quota)
    user, client = t.user()
    archive, filling = t.box("Old reports"), b"filling\n" * 2000
    client.create(archive)
    raws = client.append("INBOX", *(raw + filling for raw in mails("spam")[:4]))
    for hide in ((), NO_MOVE):
        t.configure({user: inbox()})
        t.ran(t("learn"))
        t.server.set_quota(user, sum(map(len, raws)) // 1024 + 12)
        client = t.client(user)
        proxy: Between | None = t.between(hide=hide) if hide else None
        t.configure({user: inbox()}, exact(t, f'learned = 0s action = move "{archive}"'),
                    via=proxy)
        done = t("expire")
        t.expect(t.holds(client, archive if done.rc == 0 else "INBOX", raws)
                 and t.holds(client, "INBOX" if done.rc == 0 else archive, []),
                 f"not each message once, in one place: {words_of(done)}")
        if done.rc == 0:
            t.note("COPY beyond the quota is allowed" if hide else
                   "MOVE needs no room in the quota")
        else:
            t.named(done, user, "INBOX", "mov|cop")
            t.expect(undeleted(client), "messages that stay are \\Deleted")
        t.server.set_quota(user, None)
        client = t.client(user)
        t.ran(t("expire"))
        t.need(t.holds(client, "INBOX", []) and t.holds(client, archive, raws),
               f"with room again they did not move: {words_of(t.last)}")
        client.expunge(archive, client.flags(archive))
        if not hide:
            raws = client.append("INBOX", *(raw + filling for raw in mails("spam")[4:8]))
