"""The real embedded model: its engine's life, and what it says end to end. Fetches its weights where they aren't there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from tests.support.conversation import called, said, tool
from tests.support.gguf import with_chat_template
from tiny_agents.errors import LocalModelError, ProviderError
from tiny_agents.inference import local
from tiny_agents.inference.call import Ask, Call, Request, Route, Step
from tiny_agents.inference.emulation import emulate
from tiny_agents.inference.emulation.flow import as_step
from tiny_agents.inference.emulation.scoring import log_probability
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.types.chat import ChatCompletionOutput

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not local.is_available(), reason="the extra 'local' has no wheels for this system"),
]

NOW = tool(
    "get_current_time",
    "Get current time in a specific timezone",
    timezone={
        "type": "string",
        "description": "IANA timezone name (e.g., 'America/New_York', 'Europe/London'). Use 'Etc/UTC' as local timezone if "
        "no timezone provided by the user.",
    },
)
ADD = tool("add", "Add two numbers", a="number", b="number")
SUBTRACT = tool("subtract", "Subtract two numbers", a="number", b="number")
TOOLS = [tool("task_complete", "The task is complete"), NOW, SUBTRACT, ADD]


@pytest.fixture(scope="module")
def engine() -> Iterator[local.LocalEngine]:
    engine = local.acquire()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def http() -> Iterator[SyncHTTP]:
    with contextlib.closing(SyncHTTP(HTTPSettings(timeout_s=60))) as http:
        yield http


@pytest.fixture(scope="module")
def route(engine: local.LocalEngine) -> Route:
    return Route("local", engine.url, engine.model, engine.key, is_endpoint=True)


def settle(step: Step[Any], http: SyncHTTP) -> Any:
    while isinstance(step, Ask):
        step = step.then(http.send(step.request))
    return step


def run_tool(name: str, arguments: dict[str, Any]) -> str:
    if name == "add":
        return json.dumps(arguments["a"] + arguments["b"])
    assert name == "get_current_time"
    now = datetime.now(ZoneInfo(arguments["timezone"]))
    result = {
        "timezone": arguments["timezone"],
        "datetime": now.isoformat(timespec="seconds"),
        "day_of_week": f"{now:%A}",
    }
    return json.dumps(result, indent=2)


def answer(question: str, route: Route, http: SyncHTTP) -> tuple[str, str, list[tuple[str, dict[str, Any]]]]:
    """What an agent would do: the text, whose it is, and the calls that were made."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You help."}, {"role": "user", "content": question}]
    calls = []
    while True:
        call = Call("conversational", messages, ChatCompletionOutput, parameters={"tools": TOOLS})
        output = settle(emulate(call, route, strategy="small"), http)
        message = output.choices[0].message
        if not message.tool_calls:
            return said(output), output["tiny_agents"]["answer_from"], calls
        calls.append(called(output))
        result = run_tool(*calls[-1])
        messages += [message.to_dict(), {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": result}]


# ---------------------------------------------------------------- end to end

CITIES = {
    "What time is it in Tokyo?": "Asia/Tokyo",
    "what's the time in new york right now?": "America/New_York",
    "What time is it in São Paulo?": "America/Sao_Paulo",
    "Kathmandu time?": "Asia/Kathmandu",
    "Please tell me the current local time in Buenos Aires, Argentina.": "America/Argentina/Buenos_Aires",
    "What does the clock say in Nairobi?": "Africa/Nairobi",
    "current time in Port-au-Prince": "America/Port-au-Prince",
    "What time is it in Auckland, New Zealand?": "Pacific/Auckland",
    "time in St. John's": "America/St_Johns",
    "What time is it in Ho Chi Minh City?": "Asia/Ho_Chi_Minh",
}


@pytest.mark.parametrize(("question", "zone"), CITIES.items())
def test_the_time_of_a_city_is_true(question, zone, route, http):
    before = datetime.now(UTC)
    text, answer_from, calls = answer(question, route, http)
    minutes = [before, before + timedelta(minutes=1), datetime.now(UTC)]
    assert calls == [("get_current_time", {"timezone": zone})]
    assert any(f"{minute.astimezone(ZoneInfo(zone)):%H:%M}" in text for minute in minutes), text
    assert answer_from in ("model", "tool")


@pytest.mark.parametrize(
    ("question", "numbers", "result"),
    [
        ("What is 17 plus 25?", [17, 25], "42"),
        ("Add 3.5 and -4", [3.5, -4], "-0.5"),
        ("1,250 + 999", [1250, 999], "2249"),
    ],
)
def test_a_sum_is_right(question, numbers, result, route, http):
    text, answer_from, calls = answer(question, route, http)
    assert calls == [("add", {"a": numbers[0], "b": numbers[1]})]
    assert text.rstrip(".").endswith(result)
    assert answer_from in ("model", "tool")


@pytest.mark.parametrize(
    "question",
    ["What time is it in Boston?", "What is 17 times 25?", "What time is it in Tokyo and Paris?", "Who wrote Hamlet?"],
)
def test_everything_else_is_refused(question, route, http):
    text, answer_from, calls = answer(question, route, http)
    assert not calls
    assert answer_from == "refusal"
    assert "SmolLM2-135M-Instruct is a very small model" in text


def test_a_question_is_likelier_after_the_tool_that_answers_it(route, http):
    def score(name: str) -> float:
        prompt = f"A question for {name}:\n"
        return float(settle(as_step(log_probability(prompt, "What is the current time in Tokyo?", route)), http))

    assert score("get_current_time, Get current time") > score("add, Add two numbers")
    assert score("add, Add two numbers") < 0


def test_the_constrained_strategy_gets_what_its_schemas_demand(route, http):
    for wanted in ("required", {"type": "function", "function": {"name": "add"}}):
        call = Call(
            "conversational",
            [{"role": "user", "content": "Add 1 and 2"}],
            ChatCompletionOutput,
            parameters={"tools": [ADD, NOW], "tool_choice": wanted, "temperature": 0, "max_tokens": 100},
        )
        name, arguments = called(settle(emulate(call, route, strategy="constrained"), http))
        required = {"add": {"a", "b"}, "get_current_time": {"timezone"}}[name]
        assert set(arguments) >= required


# ---------------------------------------------------------------- the engine


def can_connect(url: str) -> bool:
    parts = urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5):
        return True
    return False


def test_the_engine_knows_itself(engine):
    assert engine.model == "SmolLM2-135M-Instruct"
    assert engine.supports_tools is False
    assert engine.emulation == "small"
    assert engine.url.startswith("http://127.0.0.1:")
    assert engine.key not in repr(engine)


def test_nobody_without_the_key_is_served(engine, http):
    for key in (None, "guessed"):
        with pytest.raises(ProviderError) as caught:
            http.send(Request("POST", f"{engine.url}/chat/completions", json={"messages": []}, key=key))
        assert caught.value.status == 401


def test_leases_share_an_engine_until_the_last_is_given_back(tmp_path, engine):
    weights = tmp_path / "same.gguf"
    weights.symlink_to(_weights_path())
    with ThreadPoolExecutor() as pool:
        first, second, third = pool.map(local.acquire, [str(weights), str(weights.resolve()), None])
    assert first.url == second.url == third.url == engine.url
    for lease in (first, second, third):
        lease.close()
        lease.close()
    assert can_connect(engine.url)


def test_an_engine_that_nobody_holds_is_gone(tmp_path, engine):
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(_weights_path().read_bytes())
    lease = local.acquire(str(copy))
    assert lease.model == "copy"
    assert can_connect(lease.url)
    lease.close()
    assert not can_connect(lease.url)


TOOL_TEMPLATE = """{%- if tools %}<|im_start|>system
Tools: {% for tool in tools %}{{ tool | tojson }}
{% endfor %}Call one with <tool_call>{"name": ..., "arguments": ...}</tool_call><|im_end|>
{% endif %}{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or '' }}{%- for call in message.tool_calls or [] %}<tool_call>{"name": "{{ call.function.name }}", \
"arguments": {{ call.function.arguments | tojson }}}</tool_call>{%- endfor %}<|im_end|>
{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def test_a_model_whose_template_knows_tools_is_asked_like_any_endpoint(tmp_path, engine, http):
    path = tmp_path / "knows-tools.gguf"
    with_chat_template(_weights_path(), path, TOOL_TEMPLATE)
    with contextlib.closing(local.acquire(str(path))) as able:
        assert able.supports_tools is True
        assert able.emulation is None
        body = {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS, "max_tokens": 8}
        reply = http.send(Request("POST", f"{able.url}/chat/completions", json=body, key=able.key))
        assert json.loads(reply.body)["choices"][0]["message"]["role"] == "assistant"


def test_a_file_that_llama_cpp_cannot_load_is_refused_with_its_reason(tmp_path, engine):
    broken = tmp_path / "broken.gguf"
    with _weights_path().open("rb") as whole:
        broken.write_bytes(whole.read(2_000_000))
    with pytest.raises(
        LocalModelError, match=r"llama\.cpp can't load .*broken\.gguf: .*corrupted or incomplete"
    ) as caught:
        local.acquire(str(broken))
    assert "\n" not in str(caught.value)


@pytest.mark.anyio
async def test_an_event_loop_goes_on_while_the_model_writes(engine, http):
    request = Request(
        "POST", f"{engine.url}/completions", json={"prompt": "Once upon a time", "max_tokens": 150}, key=engine.key
    )
    beats = 0
    async with asyncio.timeout(60):
        writing = asyncio.create_task(asyncio.to_thread(http.send, request))
        started = time.monotonic()
        while not writing.done():
            await asyncio.sleep(0.01)
            beats += 1
        elapsed = time.monotonic() - started
        await writing
    assert beats > 10 * elapsed  # of 100 a second


def _weights_path() -> Path:
    from tiny_agents.inference.cache import cache_root
    from tiny_agents.inference.local.catalog import SMOLLM2

    return cache_root() / "models" / SMOLLM2.sha256 / SMOLLM2.filename


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files and threads in /proc")
def test_starting_and_stopping_leaves_no_sockets_and_threads_behind(engine):
    done = run_script(
        "import os\n"
        "from tiny_agents.inference import local\n"
        "def count(): return len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task'))\n"
        "for _ in range(3):\n"
        "    engine = local.acquire()\n"
        "    running = count()\n"
        "    engine.close()\n"
        "    print(*count(), *running)\n"
    )
    assert done.returncode == 0, done.stderr
    first, _, last = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert last[:2] == first[:2]
    assert last[1] <= 2  # the main thread, and the one that llama.cpp logs with
    assert last[3] > last[1]


def test_leaving_without_closing_is_quiet(engine):
    done = run_script("from tiny_agents.inference import local; engine = local.acquire(); print(engine.model)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "SmolLM2-135M-Instruct\n", "")


def test_loading_keeps_its_noise_off_the_screen_and_loses_nobody_elses_words(engine):
    done = run_script(
        "import os, threading\n"
        "from tiny_agents.inference import local\n"
        "stop = threading.Event()\n"
        "written = []\n"
        "def chatter():\n"
        "    while not stop.wait(0.005):\n"
        "        os.write(2, b'.')\n"
        "        written.append(1)\n"
        "thread = threading.Thread(target=chatter)\n"
        "thread.start()\n"
        "local.acquire().close()\n"
        "stop.set()\n"
        "thread.join()\n"
        "print(len(written))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "." * int(done.stdout)


def test_closing_breaks_off_what_is_being_answered_and_does_not_hang(engine):
    done = run_script(
        "import threading, time\n"
        "from tiny_agents.errors import InferenceConnectionError\n"
        "from tiny_agents.inference import local\n"
        "from tiny_agents.inference.call import Request\n"
        "from tiny_agents.inference.http.blocking import SyncHTTP\n"
        "from tiny_agents.inference.http.settings import HTTPSettings\n"
        "engine = local.acquire()\n"
        "http = SyncHTTP(HTTPSettings(timeout_s=60, max_retries=0))\n"
        "body = {'prompt': 'Once', 'max_tokens': 4000, 'ignore_eos': True, 'stream': True}\n"
        "stream = http.open(Request('POST', engine.url + '/completions', json=body, key=engine.key))\n"
        "next(stream.data)\n"
        "engine.close()\n"
        "try:\n"
        "    for _ in stream.data: pass\n"
        "    print('ended')\n"
        "except InferenceConnectionError: print('broken off')\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ("broken off\n", "ended\n")
