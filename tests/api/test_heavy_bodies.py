"""Bodies that cost more than their bytes: refused before a tree is built, and read in another process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.body import BodyParser
from api.limits import PARSED_HERE_BYTES
from benchmarks.scale.bodies import SIZES, answer, escaped, numbers, objects, text
from json_text import MAX_DEPTH, MAX_VALUES, UnfitJSON, Unreadable, check_weight
from tests.ide import STREAM, request_body, user_message
from tests.openai_stub import OpenAIStub
from tests.running import talking
from tests.runs.opened import opened

HEAVY = {
    "empty lists": ("[" + "[]," * MAX_VALUES + "[]]").encode(),
    "objects": ("[" + '{"a":1},' * MAX_VALUES + "{}]").encode(),
    "numbers": ("[" + "1," * MAX_VALUES + "1]").encode(),
    "strings": ("[" + '"a",' * MAX_VALUES + '"a"]').encode(),
    "members": ("{" + ",".join(f'"{n}":1' for n in range(MAX_VALUES + 1)) + "}").encode(),
    "deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "deep and mixed": b'[{"a":' * MAX_DEPTH + b"1" + b"}]" * MAX_DEPTH,
    "unclosed": b"[" * PARSED_HERE_BYTES,
}
HONEST = [
    json.dumps({"text": "x" * 8_000_000}),
    json.dumps({"text": "[[],[]," * 200_000}),
    json.dumps({"text": '\\"{[\n' * 200_000}),
    json.dumps({"values": list(range(MAX_VALUES - 3)), "text": "é" * PARSED_HERE_BYTES}, ensure_ascii=False),
    json.dumps({"number": 10**30, "text": " " * PARSED_HERE_BYTES}),
]


LOOP_WAITS = [
    (objects, 100_000, 0.05),
    (numbers, 200_000, 0.05),
    (text, SIZES["1 MB"], 0.05),
    (text, SIZES["the limit"], 0.25),
    (escaped, SIZES["the limit"], 0.25),
]
"""What a result may make the event loop wait, by docs/scale-report.md."""


@pytest.mark.parametrize("name", HEAVY)
def test_a_text_that_is_too_heavy_is_refused_before_it_is_parsed(name: str) -> None:
    with pytest.raises(UnfitJSON):
        check_weight(HEAVY[name].decode())


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH])
def test_what_may_be_nested_is_read(depth: int) -> None:
    check_weight("[" * depth + "]" * depth)
    check_weight('{"[":' * depth + '"]]]"' + "}" * depth)


async def test_bodies_are_read_the_same_here_and_in_the_process() -> None:
    parser = BodyParser()
    try:
        for text in HONEST:
            assert await parser.parse(text.encode()) == json.loads(text)
        for name, body in HEAVY.items():
            padded = body + b" " * PARSED_HERE_BYTES
            with pytest.raises(Unreadable) as refused:
                await parser.parse(padded)
            assert str(refused.value), name
        for broken in (b'{"a":NaN,', b"\xff", b'{"a":1e999,'):
            with pytest.raises(Unreadable):
                await parser.parse(broken + b" " * PARSED_HERE_BYTES)
    finally:
        await parser.close()


async def test_the_process_is_started_again_after_its_death() -> None:
    parser = BodyParser()
    body = json.dumps({"text": "x" * PARSED_HERE_BYTES}).encode()
    try:
        assert await parser.parse(body) == json.loads(body)
        await parser.close()
        assert await parser.parse(body) == json.loads(body)
        reading = asyncio.create_task(parser.parse(body))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert await parser.parse(body) == json.loads(body), "an answer that nobody took is not taken for the next"
    finally:
        await parser.close()


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("make", "size", "most_s"), LOOP_WAITS)
async def test_the_event_loop_computes_only_so_long_for_one_result(
    db_url: str, make: Callable[[int], Any], size: int, most_s: float
) -> None:
    """CPU time of its thread between two looks at other tasks, while the result is taken, stored and answered."""
    async with opened(db_url) as (_, client):
        await answer(client, "warm-up", text(SIZES["1 MB"]))
        found = await answer(client, "measured", make(size))
    assert found["status"] == "200 completed"
    assert 0 < found["longest_ms"] <= 1000 * most_s, found


def test_others_are_served_while_a_heavy_body_is_read(db_url: str, stub: OpenAIStub) -> None:
    """Many requests of others are answered between the sending of heavy bodies and their refusals."""
    heavy = b'{"message":' + b"[" + b"[]," * 2_600_000 + b"[]]}"
    with talking(db_url, stub) as client, httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as other:
        refused: list[httpx.Response] = []

        def send() -> None:
            refused.append(client.post(STREAM, content=heavy, headers={"content-type": "application/json"}))

        sending = threading.Thread(target=send)
        sending.start()
        served = 0
        while sending.is_alive():
            assert other.get("/health").status_code == 200
            served += 1
        sending.join()
        assert refused[0].status_code == 422
        assert "values" in refused[0].json()["detail"][0]["msg"]
        assert served > 3, "the server answered nothing else meanwhile"
        stub.script([{"text": "Read."}])
        honest = request_body(user_message("x" * 1_000_000, agent_type="ask"), "s")
        assert "Read." in client.post(STREAM, json=honest).text


@pytest.mark.parametrize("db_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["X-Internal-Auth", "X-End-User", "Authorization", "X-API-Key", "Content-Type"])
def test_a_header_that_two_readers_could_read_differently_is_refused(db_url: str, stub: OpenAIStub, name: str) -> None:
    with talking(db_url, stub) as client:
        given = client.headers.get(name, "one")
        for second in (given, "other"):
            headers = [*client.headers.multi_items(), (name, second)]
            if name not in client.headers:
                headers.append((name, given))
            response = httpx.get(f"{client.base_url}/sessions", headers=headers, trust_env=False)
            assert response.status_code == 400, response.text
            assert response.json() == {"detail": f"Send the header {name} once", "code": "bad_request"}
