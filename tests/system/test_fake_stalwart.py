"""The fake Stalwart is one: what was seen of a real one is true of it."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import stalwart
from stalwart import (ACCOUNT, API, CORE, DOWNLOAD, GET, KEY, LEARN, OWN, QUERY, SESSION, SET,
                      SETTINGS, FakeStalwart, Sample)

ALICE, BOB = "alice@example.org", "bob@example.org"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def fake() -> Iterator[FakeStalwart]:
    with FakeStalwart() as server:
        yield server


def mail(n: int) -> bytes:
    return b"From: a@example.com\r\nSubject: number %d\r\n\r\nbuy %d\0\xff\r\n" % (n, n)


def fill(fake: FakeStalwart, count: int = 7) -> list[Sample]:
    return [fake.add((ALICE, BOB)[n % 2], n % 3 > 0, mail(n)) for n in range(count)]


class Client:
    """One kept-alive connection."""

    def __init__(self, fake: FakeStalwart, authorization: str = BEARER["Authorization"]) -> None:
        self.link = http.client.HTTPConnection(fake.host, fake.port, timeout=10)
        self.headers = {"Authorization": authorization}

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        self.link.request(method, path, json.dumps(body) if body else None, self.headers)
        answer = self.link.getresponse()
        return answer.status, answer.read()

    def calls(self, *calls: tuple[str, Any]) -> list[Any]:
        body = {"using": [CORE, OWN],
                "methodCalls": [[name, args, str(n)] for n, (name, args) in enumerate(calls)]}
        status, said = self.request("POST", API, body)
        assert status == 200
        return list(json.loads(said)["methodResponses"])

    def call(self, name: str, **args: object) -> Any:
        """The arguments of the answer."""
        (said,) = self.calls((name, args))
        assert said[0] in (name, "error") and said[2] == "0"
        return said[1]

    def query(self, **args: object) -> list[str]:
        return list(self.call(QUERY, **args)["ids"])


def by_id(ascending: bool) -> list[dict[str, object]]:
    return [{"property": "id", "isAscending": ascending}]


def test_session_and_keep_alive(fake: FakeStalwart) -> None:
    client = Client(fake)
    status, said = client.request("GET", SESSION)
    session = json.loads(said)
    assert status == 200 and session["username"] == LEARN
    assert session["capabilities"][CORE]["maxObjectsInGet"] == 500
    assert str(fake.port) not in session["downloadUrl"] + session["apiUrl"]
    client.request("GET", SESSION)
    assert fake.connections == 1 and len(fake.requests) == 2
    assert fake.requests[0].authorization == f"Bearer {KEY}"


def test_ids_are_opaque(fake: FakeStalwart) -> None:
    """ASCII has another order than the server; what is late is before its time."""
    ids = [sample.id for sample in fill(fake, 200)]
    assert fake.ids == ids != sorted(ids) and len(set(ids)) == 200
    assert ids[:2] != sorted(ids[:2]) and {len(each) for each in ids} == {12}
    late = [fake.add(ALICE, True, mail(n), late=2).id for n in range(3)]
    assert [fake.ids.index(each) for each in late] == [198, 199, 200]
    assert len(set(fake.ids)) == 203


def test_query_with_total(fake: FakeStalwart) -> None:
    ids = [sample.id for sample in fill(fake)]
    client = Client(fake)
    said = client.call(QUERY, limit=3, calculateTotal=True, sort=by_id(True))
    assert said == {"accountId": "g", "queryState": "h", "canCalculateChanges": True,
                    "position": 0, "ids": ids[:3], "total": 7, "limit": 3}
    for args, wanted in (
            ({"sort": by_id(False), "limit": 2}, [ids[6], ids[5]]), ({}, ids[::-1]),
            ({"sort": by_id(True), "position": 5}, ids[5:]),
            ({"sort": by_id(True), "anchor": ids[2], "limit": 2}, ids[2:4]),
            ({"anchor": ids[2], "anchorOffset": 1}, [ids[1], ids[0]]),
            ({"sort": by_id(True), "anchor": ids[2], "anchorOffset": -1, "limit": 1}, [ids[1]]),
            ({"filter": {"accountId": "d"}, "sort": by_id(True)}, ids[::2])):
        assert client.query(calculateTotal=True, **args) == wanted, args
    fake.remove(ids[2])
    assert client.call(QUERY, calculateTotal=True, anchor=ids[2]) == {"type": "anchorNotFound"}


def test_query_without_total(fake: FakeStalwart) -> None:
    """The traps."""
    ids = [sample.id for sample in fill(fake)]
    client = Client(fake)
    up, down = by_id(True), by_id(False)
    assert client.query(sort=up, position=4, limit=2) == ids[:2]
    assert client.query(sort=up, anchor=ids[2], limit=2) == ids[3:5]
    assert client.query(sort=down, limit=3) == ids[2::-1]
    assert "total" not in client.call(QUERY)
    fake.remove(ids[2])
    assert client.query(sort=up, anchor=ids[2]) == []


def test_sort_and_filter(fake: FakeStalwart) -> None:
    client = Client(fake)
    assert client.call(QUERY, sort=[{"property": "expiresAt"}])["type"] == "unsupportedSort"
    assert client.call(QUERY, filter={"isSpam": True}) == {
        "type": "unsupportedFilter",
        "description": "Filter on property isSpam is not supported or invalid"}
    assert client.call("x:SpamTrainingSample/changes")["type"] == "unknownMethod"


def test_get_set_and_who(fake: FakeStalwart) -> None:
    first, second, *_ = fill(fake)
    client = Client(fake)
    said = client.call(GET, ids=[second.id, "nothere", first.id])
    assert said["notFound"] == ["nothere"] and said["list"] == [
        {"id": second.id, "accountId": "e", "isSpam": True, "blobId": second.blob,
         "from": "a@example.com", "subject": "number 1", "expiresAt": "2027-05-22T00:00:00Z",
         "deleteAfterUse": False}, first.json()]
    assert client.call(GET, ids=fake.ids * 80) == {"type": "requestTooLarge"}
    done = client.call(SET, destroy=[first.id, "nothere"])
    assert done["destroyed"] == [first.id]
    assert done["notDestroyed"] == {"nothere": {"type": "notFound"}}
    assert first.id not in fake.ids and first.blob in fake.blobs
    who = client.call(ACCOUNT, ids=["d"], properties=["emailAddress"])
    assert who["list"] == [{"id": "d", "emailAddress": ALICE}]
    names = [said[0] for said in client.calls((QUERY, {}), ("x/y", {}), (GET, {"ids": []}))]
    assert names == [QUERY, "error", GET]
    assert fake.requests[-1].names == [QUERY, "x/y", GET] and len(fake.calls(SET)) == 1


def test_bodies(fake: FakeStalwart) -> None:
    """Byte for byte; one content is one blob of each account."""
    one, two = fake.add(ALICE, True, mail(1)), fake.add(BOB, True, mail(1))
    assert fake.add(ALICE, False, mail(1)).blob == one.blob != two.blob
    client = Client(fake)
    assert client.request("GET", f"{DOWNLOAD}g/{one.blob}/m.eml") == (200, mail(1))
    assert client.request("GET", f"{DOWNLOAD}e/{one.blob}/m.eml") == (200, mail(1))
    fake.lose_blob(one)
    assert client.request("GET", f"{DOWNLOAD}g/{one.blob}/m.eml")[0] == 404
    assert fake.downloads == [one.blob] * 3 and fake.most["download"] == 1
    fake.one_blob = True
    assert fake.add(ALICE, True, mail(2)).blob == fake.add(BOB, True, mail(2)).blob


def test_who_may_what(fake: FakeStalwart) -> None:
    foreign, own = fake.add(ALICE, True, mail(1)), fake.add(LEARN, True, mail(2))
    basic = base64.b64encode(f"{LEARN}:secret".encode()).decode()
    assert Client(fake, f"Basic {basic}").request("GET", SESSION)[0] == 200
    for wrong in ("", "Bearer API_x", "Basic " + base64.b64encode(b"learn:x").decode()):
        status, said = Client(fake, wrong).request("GET", SESSION)
        assert (status, json.loads(said)) == (401, {
            "type": "about:blank", "status": 401, "title": "Unauthorized",
            "detail": "You have to authenticate first."})
    client = Client(fake)
    fake.forbid("fetchAnyBlob")
    for sample, status in ((foreign, 404), (own, 200)):
        assert client.request("GET", f"{DOWNLOAD}g/{sample.blob}/m.eml")[0] == status
    probe = {"filter": {"accountId": "g"}, "limit": 1}
    assert client.query(**probe) == [own.id]
    fake.forbid("impersonate")
    assert client.query(calculateTotal=True) == [own.id]
    assert client.call(GET, ids=[foreign.id])["notFound"] == [foreign.id]
    assert client.call(QUERY, **probe) == {
        "type": "unsupportedFilter",
        "description": "Filter on property accountId is not supported or invalid"}
    refused = {"type": "forbidden", "description": "You are not authorized to perform this action"}
    fake.forbid("sysSpamTrainingSampleQuery", "sysSpamTrainingSampleGet", "sysAccountGet",
                "sysSpamTrainingSampleDestroy")
    for name in (QUERY, GET, ACCOUNT, SETTINGS):
        assert client.call(name, ids=[]) == refused
    assert client.call(SET, destroy=[own.id])["type"] == "forbidden"
    fake.forbid("authenticate")
    assert client.request("GET", SESSION)[0] == 403
    fake.keys.clear()
    assert client.request("GET", SESSION)[0] == 401


def test_requests_at_a_time(fake: FakeStalwart) -> None:
    """Four of them; downloads as many as one likes."""
    sample = fake.add(ALICE, True, mail(1))
    fake.pause = {"session": 0, "post": 0.5, "download": 0.5}
    said: list[tuple[int, bytes]] = []

    def ask(*words: Any) -> None:
        said.append(Client(fake).request(*words))

    body = {"using": [CORE, OWN], "methodCalls": []}
    for words in (("POST", API, body), ("GET", f"{DOWNLOAD}d/{sample.blob}/m.eml")):
        threads = [threading.Thread(target=ask, args=words) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    statuses = [status for status, _ in said]
    assert sorted(statuses[:6]) == [200] * 4 + [400] * 2 and statuses[6:] == [200] * 6
    refused = json.loads(next(text for status, text in said if status == 400))
    assert refused["type"] == "urn:ietf:params:jmap:error:limit"
    assert refused["limit"] == "maxConcurrentRequests"
    assert fake.most == {"session": 0, "post": 6, "download": 6}


def test_rate_and_rights(fake: FakeStalwart) -> None:
    """So many in a window, unless one may have more."""
    client = Client(fake)
    said = json.loads(client.request("GET", stalwart.RIGHTS)[1])
    assert set(said["permissions"]) == stalwart.PERMISSIONS
    fake.most_requests, fake.window = 2, 60
    assert [client.request("GET", SESSION)[0] for _ in range(3)] == [200, 200, 429]
    fake.permit("unlimitedRequests")
    assert client.request("GET", SESSION)[0] == 200
    fake.tells_rights = False
    assert client.request("GET", stalwart.RIGHTS)[0] == 404


@pytest.mark.parametrize("name", ["chunked", "until_closed"])
def test_other_ways_to_say_it(fake: FakeStalwart, name: str) -> None:
    sample = fake.add(ALICE, True, mail(1) * 50)
    fake.lies[DOWNLOAD] = getattr(stalwart, name)
    for _ in range(2):
        assert Client(fake).request("GET", f"{DOWNLOAD}d/{sample.blob}/m.eml") == (
            200, mail(1) * 50)


@pytest.mark.parametrize("name", ["cut_in_head", "cut_in_body", "too_short"])
def test_what_breaks(fake: FakeStalwart, name: str) -> None:
    """Once, and then it is honest again."""
    fake.lies[QUERY] = stalwart.only_first(1, getattr(stalwart, name))
    with pytest.raises((http.client.HTTPException, OSError, ValueError)):
        Client(fake).query()
    assert Client(fake).query() == []


def test_lies(fake: FakeStalwart) -> None:
    one, two = fake.add(ALICE, True, mail(1)), fake.add(BOB, True, mail(2))
    client = Client(fake)
    fake.answers[QUERY] = stalwart.vanishing(fake, two)
    found = client.query(calculateTotal=True)
    assert found == [two.id, one.id]
    assert client.call(GET, ids=found)["notFound"] == [two.id]
    fake.answers = {QUERY: stalwart.twice,
                    GET: stalwart.of_each(lambda each: each | {"isSpam": "yes"})}
    assert client.query() == [one.id] * 2
    assert client.call(GET, ids=[one.id])["list"][0]["isSpam"] == "yes"
    fake.answers[QUERY] = stalwart.endless_pages()
    assert len({*client.query(limit=50), *client.query(limit=50)}) == 100
    fake.answers[QUERY] = stalwart.error("serverUnavailable")
    assert client.call(QUERY) == {"type": "serverUnavailable"}
    fake.lies = {GET: lambda honest: stalwart.html(), SESSION: stalwart.not_json,
                 API: lambda honest: stalwart.status(429)}
    body = {"using": [OWN], "methodCalls": [[GET, {"ids": []}, "0"]]}
    assert client.request("POST", API, body)[0] == 503
    assert client.request("POST", API, {"methodCalls": []})[0] == 429
    with pytest.raises(ValueError):
        json.loads(client.request("GET", SESSION)[1])
    for lie in (stalwart.huge, stalwart.spaces):
        fake.lies[SESSION] = lie
        client.link.close()
        client.link.request("GET", SESSION, headers=BEARER)
        assert len(client.link.getresponse().read(1 << 20)) == 1 << 20
