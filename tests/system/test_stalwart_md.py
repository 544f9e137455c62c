"""Section 1 of docs/stalwart.md, line by line, on the Stalwart that STALWART names, with its
addresses in place of those of the page."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import FakeController
from program import ROOT, Program, environment, secret_file
from servers import Authority, crlf, temporary_folder
from stalwart_server import DOMAIN, JUNK, NETWORK_OF_ITS_OWN, Stalwart
from stalwart_server import program as server_program

pytestmark = pytest.mark.skipif(server_program() is None, reason="STALWART names no server")

USER, OURS = f"alice@{DOMAIN}", "reader"  # learn@ is there already
PASSWORD = "a long password"


@pytest.fixture
def stalwart(authority: Authority) -> Iterator[Stalwart]:
    if subprocess.run([*NETWORK_OF_ITS_OWN, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    with Stalwart(temporary_folder(), authority, [USER]) as server:
        yield server


def blocks() -> list[str]:
    page = (ROOT / "docs/stalwart.md").read_text()
    section = page.partition("\n## 1. ")[2].partition("\n## ")[0]
    found = re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", section)
    return [re.sub(r"(?m)^    ", "", block).strip() + "\n" for block in found]


class Reader:
    """Somebody who has a shell, and does what the page says."""

    def __init__(self, stalwart: Stalwart, folder: Path) -> None:
        self.stalwart, self.folder = stalwart, folder
        self.function = ""

    def requests(self, text: str) -> dict[str, str]:
        """The answers' first words that matter, by name."""
        text = text.replace("jmap admin", f"jmap admin:{self.stalwart.admin_password}")
        text = text.replace(f"jmap learn@{DOMAIN}", f"jmap '{OURS}@{DOMAIN}:{PASSWORD}'")
        text = text.replace('"name": "learn"', f'"name": "{OURS}"')
        done = subprocess.run(["bash", "-ec", self.function + text], text=True,
                              capture_output=True, env=environment())
        assert done.returncode == 0, done.stderr
        for name, answer, _ in json.loads(done.stdout)["methodResponses"]:
            assert name != "error" and not answer.get("notCreated") and not answer.get(
                "notUpdated"), done.stdout
        return dict(re.findall(r'"(id|secret)":"(.*?)"', done.stdout))


def test_each_line_as_it_stands(stalwart: Stalwart, rspamd: FakeController,
                                program: Program) -> None:
    reader = Reader(stalwart, program.folder)
    password = secret_file(program.folder / "rspamd.password", rspamd.password + "\n")
    for text in blocks():
        if text.startswith("server="):
            reader.function = text.replace("https://mail.example.org", stalwart.url)
        elif "x:Domain/get" in text:
            assert reader.requests(text)["id"] == "b"
        elif "x:ApiKey/set" in text:
            key = reader.requests(text)["secret"]
        elif text.startswith("jmap "):
            reader.requests(text)
        elif text.startswith("install "):
            secret_file(program.folder / "stalwart.key", key + "\n")
        elif text.startswith("rspamd {"):
            for old, new in (("https://mail.example.org", stalwart.url),
                             ("http://127.0.0.1:11334", rspamd.url),
                             ("/etc/learnspool/rspamd.password", str(password)),
                             ("/etc/learnspool/", f"{program.folder}/")):
                text = text.replace(old, new)
            secret_file(program.config, text + f'ledger = "{program.ledger}"\n')
        else:
            assert text.splitlines() == ["learnspool check", "learnspool run --dry-run",
                                         "learnspool run"]
            stalwart.append(USER, "INBOX", crlf(b"Subject: spam\n\nBuy this, and this.\n"))
            stalwart.move(USER, "spam", "INBOX", JUNK)
            said = [program(*line.split()[1:]) for line in text.splitlines()]
            assert [done.rc for done in said] == [0, 0, 0], said
            assert "1 decisions of users wait" in said[0].out and "WRONG" not in said[0].out
            assert "would learn 1 (spam 1, ham 0)" in said[1].out
            assert "learned 1 (spam 1, ham 0)" in said[2].out
            assert [learn.path for learn in rspamd.learns] == ["/learnspam"]
            return
    raise AssertionError("the page does not end with a first learned move")
