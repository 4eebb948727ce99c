"""Job queues of providers, without a network: how they are watched, and what goes wrong."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.provider_queues import QUEUES, Queue
from tests.support.provider_script import CDN, HF, ODD, OWN, File, Seen, carry_out, sent_headers
from tiny_agents.errors import (
    InferenceError,
    InferenceTimeoutError,
    InvalidResponseError,
    JobFailedError,
)
from tiny_agents.inference.call import Response, Route
from tiny_agents.inference.providers.answers import own, read


def with_text(answer: Any, old: str, new: str) -> Any:
    return json.loads(json.dumps(answer).replace(old, json.dumps(new)[1:-1]))


def gave(seen: Seen, queue: Queue) -> bool:
    return bool(seen.output.size == (1, 1)) if queue.gives == "image" else bool(seen.output == b"a video")


@pytest.mark.parametrize("key", [HF, OWN], ids=["routed", "direct"])
@pytest.mark.parametrize("name", QUEUES)
def test_a_job_is_watched_until_it_is_done_and_its_result_is_fetched(name: str, key: str) -> None:
    queue = QUEUES[name]
    seen = carry_out(name, queue.call(), [queue.taken, queue.running, queue.running, *queue.done], key=key)
    assert gave(seen, queue)
    base = f"https://router.huggingface.co/{name}" if key == HF else queue.base
    query = "" if key == HF else "?_subdomain=queue"  # said to the router only
    taken, look = [url.replace("{}", base).replace(query or "\0", "") for url in queue.asked]
    assert seen.urls[:4] == [taken, look, look, look]
    assert seen.urls[-1] == f"GET {CDN}"
    assert all(0 < wait <= 10 for wait in seen.waits_s[1:4])


@pytest.mark.parametrize("key", [HF, OWN], ids=["routed", "direct"])
@pytest.mark.parametrize("name", QUEUES)
def test_looks_at_a_job_carry_the_key_to_the_provider_and_a_download_carries_nothing(name: str, key: str) -> None:
    queue = QUEUES[name]
    headers = {"x-mine": "secret", "x-hf-bill-to": "org"}
    seen = carry_out(name, queue.call(), [queue.taken, queue.running, *queue.done], key=key, headers=headers)
    asked, looked, *_, fetched = map(sent_headers, seen.requests)
    secrets = {value for value in asked.values() if key in value}
    assert len(secrets) == 1
    assert asked["x-mine"] == "secret"
    assert fetched == {}
    if queue.keeps_key:
        assert secrets <= set(looked.values())
        assert looked["x-hf-bill-to"] == "org"
    else:
        assert looked == {}


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("name", QUEUES)
def test_a_job_that_fails_is_an_error_with_the_providers_words(name: str, when: str) -> None:
    queue = QUEUES[name]
    at_once = isinstance(queue.failed, dict) and {**queue.taken, **queue.failed}
    script = [at_once, queue.failed] if when == "at once" else [queue.taken, queue.running, queue.failed]
    with pytest.raises(JobFailedError, match="bad prompt") as caught:
        carry_out(name, queue.call(), script)
    assert (caught.value.provider, caught.value.model) == (name, "served/m")
    assert isinstance(caught.value, (ValueError, RuntimeError))


STATUSES = {"fal-ai": {"status": "LOST"}, "together": {"status": "lost"}, "wavespeed": {"data": {"status": "lost"}}}


@pytest.mark.parametrize("name", STATUSES)
def test_a_job_in_a_state_that_nobody_knows_is_not_watched_any_longer(name: str) -> None:
    with pytest.raises(JobFailedError, match=r"its status is '(?i:lost)'"):
        carry_out(name, QUEUES[name].call(), [QUEUES[name].taken, STATUSES[name]])


@pytest.mark.parametrize("name", QUEUES)
def test_a_job_that_never_ends_is_given_up(name: str) -> None:
    queue = QUEUES[name]
    with pytest.raises(InferenceTimeoutError, match=f"{name}: the job for served/m was still running") as caught:
        carry_out(name, queue.call(), [queue.taken, queue.running])
    assert caught.value.timeout_s is not None
    assert 20 < caught.value.timeout_s <= 600


@pytest.mark.parametrize("name", QUEUES)
def test_a_key_that_a_failed_job_repeats_is_not_shown(name: str) -> None:
    queue = QUEUES[name]
    told = with_text(queue.failed, "bad prompt", f"bad prompt, key {OWN}")
    with pytest.raises(JobFailedError) as caught:
        carry_out(name, queue.call(), [queue.taken, told])
    assert OWN not in str(caught.value)
    assert OWN not in caught.value.body


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("name", QUEUES)
def test_an_odd_answer_to_a_job_is_an_error(name: str, body: bytes) -> None:
    with pytest.raises(InferenceError) as caught:
        carry_out(name, QUEUES[name].call(), [body])
    # Replicate's answer without output says that the model is still starting.
    assert isinstance(caught.value, (InvalidResponseError, InferenceTimeoutError if name == "replicate" else TypeError))
    assert caught.value.provider == name


@pytest.mark.parametrize("name", QUEUES)
def test_an_odd_answer_while_a_job_runs_is_an_error(name: str) -> None:
    with pytest.raises(InvalidResponseError, match="no JSON object"):
        carry_out(name, QUEUES[name].call(), [QUEUES[name].taken, b"<html>Bad gateway</html>"])


@pytest.mark.parametrize(
    "result", [File(b""), File(b"<html>", "text/html"), File(b'{"detail": "gone"}', "application/json")]
)
@pytest.mark.parametrize("name", QUEUES)
def test_a_result_that_is_no_file_is_an_error(name: str, result: File) -> None:
    queue = QUEUES[name]
    with pytest.raises(InvalidResponseError):
        carry_out(name, queue.call(), [queue.taken, *queue.done[:-1], result])


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://x/y", "/relative", "javascript:1", "http://["])
@pytest.mark.parametrize("name", QUEUES)
def test_a_result_is_fetched_from_the_web_only(name: str, address: str) -> None:
    queue = QUEUES[name]
    done = [with_text(answer, CDN, address) for answer in queue.done[:-1]]
    with pytest.raises(InvalidResponseError, match="no address"):
        carry_out(name, queue.call(), [queue.taken, *done, b"x"])


# ---------------------------------------------------------------- addresses that a provider names

HOSTILE = [
    "https://evil.example/x/job",
    "//evil.example/x/job",
    "@evil.example/x/job",
    "http://queue.fal.run@evil.example/x/job",
    "\\\\evil.example/x/job",
    ".evil.example/job",
    ":80@evil.example/job",
]
NO_ADDRESS = "http://[evil/job"


@pytest.mark.parametrize("named", HOSTILE)
@pytest.mark.parametrize("name", ["fal-ai", "replicate", "wavespeed"])
def test_the_key_stays_with_the_provider_whatever_host_a_job_names(name: str, named: str) -> None:
    queue = QUEUES[name]
    theirs = ("https://queue.fal.run", "https://api.replicate.com", "https://api.wavespeed.ai")
    where = {"fal-ai": "response_url"}.get(name)
    taken = (
        {**queue.taken, where: named}
        if where
        else {"urls": {"get": named}, "status": "starting", "data": {"urls": {"get": named}}}
    )
    seen = carry_out(name, queue.call(), [taken, *queue.done])
    with_key = [request for request in seen.requests if request.key]
    assert len(with_key) >= 2
    assert all(request.url.startswith(tuple(f"{base}/" for base in theirs)) for request in with_key)
    assert {urlsplit(request.url).hostname for request in with_key} == {urlsplit(queue.base).hostname}


@pytest.mark.parametrize("name", ["black-forest-labs", "fal-ai", "replicate", "wavespeed"])
def test_an_address_that_is_none_is_an_error(name: str) -> None:
    taken = {
        "id": "1",
        "request_id": "1",
        "polling_url": NO_ADDRESS,
        "response_url": NO_ADDRESS,
        "urls": {"get": NO_ADDRESS},
        "data": {"urls": {"get": NO_ADDRESS}},
    }
    with pytest.raises(InvalidResponseError, match="no address"):
        carry_out(name, QUEUES[name].call(), [taken])


@given(st.text(max_size=40))
@example("https://evil.example")
@example("@evil.example")
@example("//evil.example")
@example("http://[")
def test_no_named_address_leads_off_the_host(named: str) -> None:
    route = Route("acme", "https://api.example", "m", None)
    answer = read(route, Response(200, {}, msgspec.json.encode({"url": named}), route.url))
    try:
        url = own(route.url, answer, "url")
    except InvalidResponseError:  # no address at all
        return
    assert url.startswith("https://api.example/")
