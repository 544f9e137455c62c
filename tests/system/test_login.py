"""Ways to log in: every SASL mechanism that we claim, on a real Dovecot."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import corpus
import pytest
from program import Program, Rig, secret_file
from servers import Dovecot, Stack, dovecot_version

USER = "spam@example.org"
KEY = b"a key for tests that is long enough for HS256"

# Tokens are checked by Dovecot itself, with a key of its own: no server of an identity provider.
OAUTH_23 = """
auth_mechanisms = {mechanisms}
passdb {{
	driver = oauth2
	mechanisms = xoauth2 oauthbearer
	args = {conf}
}}
"""
OAUTH_24 = """
auth_mechanisms = {mechanisms}
oauth2 {{
	introspection_mode = local
	username_attribute = email
	oauth2_local_validation {{
		dict fs {{
			fs posix {{
				prefix = {keys}/
			}}
		}}
	}}
}}
passdb oauth2 {{
	mechanisms_filter = xoauth2 oauthbearer
}}
"""
OAUTH_CONF = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={keys}/
username_attribute = email
"""


def part(value: dict[str, object] | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def token(user: str, key: bytes = KEY, lifetime: int = 600) -> str:
    """A JSON Web Token (RFC 7519), signed with HS256."""
    now = int(time.time())
    text = part({"alg": "HS256", "typ": "JWT", "kid": "default"}) + b"." + part(
        {"sub": user, "email": user, "iat": now, "nbf": now - 1, "exp": now + lifetime})
    return (text + b"." + part(hmac.digest(key, text, hashlib.sha256))).decode()


@pytest.fixture
def bearer(stack: Stack, server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Dovecot]:
    """A Dovecot that takes tokens only, by the mechanism that the test names."""
    keys = server_folder / "keys" / "default" / "HS256"
    keys.mkdir(parents=True)
    (keys / "default").write_bytes(base64.b64encode(KEY))
    conf = server_folder / "oauth2.conf"
    conf.write_text(OAUTH_CONF.format(keys=server_folder / "keys"))
    for path in (server_folder, *server_folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    oauth = OAUTH_23 if dovecot_version() < (2, 4) else OAUTH_24
    extra = oauth.format(mechanisms=f"plain {request.param}", conf=conf,
                         keys=server_folder / "keys")
    with Dovecot(server_folder / "dovecot", stack.authority, extra=extra) as dovecot:
        dovecot.add_user(USER)
        dovecot.append_many(USER, "INBOX", corpus.spam()[:3])
        yield dovecot


def configure(program: Program, stack: Stack, dovecot: Dovecot, auth: str, text: str) -> None:
    dovecot.passwords[USER] = text
    program.configure(Rig(stack.rspamd, dovecot, stack.authority),
                      {USER: 'mailbox "INBOX" { class = spam }'}, account=f"auth = {auth}")


@pytest.mark.parametrize("bearer", ["oauthbearer", "xoauth2"], indirect=True)
def test_tokens(stack: Stack, learnspool: Program, bearer: Dovecot,
                request: pytest.FixtureRequest) -> None:
    """A good access token logs in; a forged one and one that ran out are exit status 77, in one
    line without the token."""
    auth = request.node.callspec.params["bearer"]
    for bad in (token(USER, b"another key, which the server does not have"),
                token(USER, lifetime=-60)):
        configure(learnspool, stack, bearer, auth, bad)
        done = learnspool("learn")
        assert done.rc == 77, done.err
        assert USER in done.err and len(done.err.splitlines()) == 1
        assert bad not in done.err + done.out
    configure(learnspool, stack, bearer, auth, token(USER))
    done = learnspool("learn", "--json")
    assert done.rc == 0, done.err
    assert done.event("summary")["learned"] == stack.rspamd.learns()[0] > 0


@pytest.mark.parametrize("kind", ["env", "command", "credential"])
def test_where_a_password_comes_from(stack: Stack, learnspool: Program, kind: str) -> None:
    """The other kinds of secret beside a file, each from log-in to exit 0."""
    stack.dovecot.append(USER, "INBOX", corpus.spam()[0])
    password = stack.dovecot.passwords[USER]
    folder = learnspool.folder / "credentials"
    folder.mkdir(mode=0o700)
    file = secret_file(folder / "imap", password)
    where = {"env": "MAIL_PASSWORD", "command": f"cat {file}", "credential": "imap"}[kind]
    learnspool.configure(stack, {USER: 'mailbox "INBOX" { class = spam }'})
    lines = [f'    password-{kind} = "{where}"' if "password-file" in line and "rspamd" not in line
             else line for line in learnspool.config.read_text().splitlines()]
    secret_file(learnspool.config, "\n".join(lines) + "\n")
    done = learnspool("learn", env={"MAIL_PASSWORD": password,
                                    "CREDENTIALS_DIRECTORY": str(folder)})
    assert done.rc == 0, done.err
    assert stack.rspamd.learns() == (1, 0)
