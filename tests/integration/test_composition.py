"""Agents as tools of agents, Python files and skills: real processes, scripted models."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, text
from tiny_agents import Agent, ConfigError, InnerEvent, Limits, PermissionGate, Permissions, UsageError
from tiny_agents.agent.definition.task_names import TASKS
from tiny_agents.agent.permissions.gate import Approval
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.calls.gate import CallRequest

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

COUNTED: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
SERVER = str(Path(__file__).parent.parent / "data" / "same_program_server.py")


def counted(turn: Turn) -> Turn:
    return turn if turn.then == "stall" else replace(turn, events=[*turn.events, COUNTED])


def system(request: Recorded) -> str:
    return str(request.body["messages"][0]["content"])


def last(request: Recorded) -> dict[str, Any]:
    message: dict[str, Any] = request.body["messages"][-1]
    return message


def boss_and(inner: Callable[[Recorded], Turn], *tasks: str) -> Callable[[Recorded], Turn]:
    """A model that hands out tasks and says what came back, and another one for the agent that gets them."""

    def answer(request: Recorded) -> Turn:
        if "BOSS" not in system(request):
            return counted(inner(request))
        if last(request)["role"] == "tool":
            results = [m["content"] for m in request.body["messages"] if m["role"] == "tool"]
            return counted(text(" / ".join(results)))
        ids = [f"c{n}" for n in range(len(tasks))]
        return counted(calls(*(("helper", {"task": task}) for task in tasks), ids=ids))

    return answer


def pair(url: str, **helper: Any) -> tuple[Agent, Agent]:
    boss = Agent(base_url=url, model="m", prompt="BOSS")
    inner = Agent(base_url=url, model="m", prompt="HELPER", **helper)
    boss.add_agent(inner, name="helper", description="Helps.")
    return boss, inner


async def test_each_task_is_a_conversation_of_its_own_and_its_usage_counts() -> None:
    def helper(request: Recorded) -> Turn:
        assert [m["role"] for m in request.body["messages"]] == ["system", "user"]
        return text(f"did {last(request)['content']}")

    with OpenAIServer(boss_and(helper, "one", "two")) as model:
        boss, inner = pair(model.url)
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go")
            assert result.text == "did one / did two"
            assert result.usage.model_calls == 4 == len(result.calls)
            assert result.usage.total_tokens == 60
            assert boss.usage == result.usage
            assert [m["role"] for m in inner.messages] == ["system"]
            assert_valid(boss.messages)


async def test_tasks_of_one_answer_are_worked_on_at_the_same_time_with_one_server() -> None:
    def helper(request: Recorded) -> Turn:
        if last(request)["role"] == "tool":
            return text(f"sum {last(request)['content']}")
        return calls(("add", {"a": int(last(request)["content"]), "b": 1}))

    server = {"type": "stdio", "name": "sums", "command": sys.executable, "args": [SERVER]}
    with OpenAIServer(boss_and(helper, "1", "2", "3")) as model:
        boss, inner = pair(model.url, servers=[server])
        async with boss, asyncio.timeout(60):
            await boss.load_tools()
            assert not inner.connections  # started with the first task
            result = await boss.run_to_completion("go")
            assert result.text == "sum 2 / sum 3 / sum 4"
            assert list(inner.connections) == ["sums"]
            assert result.tool_calls == 6  # those of the agent count too
        assert inner.connections["sums"].tools == () or inner._closed


async def test_what_is_left_of_the_limits_holds_for_the_task() -> None:
    def endless(request: Recorded) -> Turn:
        if request.body.get("tool_choice") == "none":
            return text("no more")
        return calls(("tick", {}), ids=[f"t{len(request.body['messages'])}"])

    with OpenAIServer(boss_and(endless, "go on")) as model:
        boss, inner = pair(model.url)
        inner.add_tool(lambda: "tock", name="tick")
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go", limits=Limits(model_calls=6))
            # one for the task, four for the agent (its last without tools), one for the answer
            assert len(model.chats) == 6 == result.usage.model_calls
            assert result.text.startswith("no more\n[It stopped early: Stopped after 4 model calls")
            assert result.stop_reason == "turn_limit"


async def test_without_a_model_call_left_the_agent_is_not_asked() -> None:
    with OpenAIServer(boss_and(lambda _: text("never"), "x")) as model:
        boss, _ = pair(model.url)
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go", limits=Limits(model_calls=2))
            assert "no model calls are left for it" in result.text
            assert len(model.chats) == 2


@pytest.mark.parametrize("most", range(1, 10))
async def test_agents_at_the_same_time_never_make_more_model_calls_than_there_are(most: int) -> None:
    def endless(request: Recorded) -> Turn:
        if request.body.get("tool_choice") == "none":
            return text("no more")
        return calls(("tick", {}), ids=[f"t{len(request.body['messages'])}"])

    with OpenAIServer(boss_and(endless, "a", "b", "c")) as model:
        boss, inner = pair(model.url)
        inner.add_tool(lambda: "tock", name="tick")
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go", limits=Limits(model_calls=most))
            assert len(model.chats) == result.usage.model_calls <= most
            assert most < 3 or "BOSS" in system(model.requests[-1])  # one is kept for the answer
            assert_valid(boss.messages)


async def test_tokens_of_the_task_are_tokens_of_the_request() -> None:
    def endless(request: Recorded) -> Turn:
        return calls(("tick", {}), ids=[f"t{len(request.body['messages'])}"])

    with OpenAIServer(boss_and(endless, "go on")) as model:
        boss, inner = pair(model.url)
        inner.add_tool(lambda: "tock", name="tick")
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go", limits=Limits(tokens=75))
            assert result.usage.total_tokens <= 75
            assert result.stop_reason == "token_limit"


async def test_what_happens_there_is_seen_with_its_call() -> None:
    def helper(request: Recorded) -> Turn:
        return text("fine") if last(request)["role"] == "tool" else calls(("tick", {}))

    with OpenAIServer(boss_and(helper, "x")) as model:
        boss, inner = pair(model.url)
        inner.add_tool(lambda: "tock", name="tick")
        async with boss, asyncio.timeout(30):
            items = [item async for item in boss.run("go", events=True) if isinstance(item, InnerEvent)]
        seen = [
            item for item in items if isinstance(item.event, (ChatCompletionStreamOutput, ChatCompletionInputMessage))
        ]
        assert {(event.tool, event.call) for event in seen} == {("helper", "c0")}
        results = [event.event for event in seen if isinstance(event.event, ChatCompletionInputMessage)]
        assert [(message.name, message.content) for message in results] == [("tick", "tock")]


async def test_agents_of_agents_are_seen_from_the_outside() -> None:
    def both(request: Recorded) -> Turn:
        if "HELPER" in system(request):
            if last(request)["role"] == "tool":
                return text(last(request)["content"])
            return calls(("deeper", {"task": "dig"}), ids=["d0"])
        return text("gold")

    with OpenAIServer(boss_and(both, "x")) as model:
        boss, inner = pair(model.url)
        inner.add_agent(Agent(base_url=model.url, model="m", prompt="DEEP"), name="deeper")
        async with boss, asyncio.timeout(30):
            items = [item async for item in boss.run("go", events=True) if isinstance(item, InnerEvent)]
            assert boss.result is not None
            assert boss.result.text == "gold"
            assert boss.result.usage.model_calls == 5
        deep = [item.event for item in items if isinstance(item.event, InnerEvent)]
        assert {event.tool for event in deep} == {"deeper"}
        assert "d0" in {event.call for event in deep}


async def test_stopping_the_run_stops_the_task() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def helper(request: Recorded) -> Turn:
        loop.call_soon_threadsafe(stop.set)
        return raw(delta(role="assistant", content="I am "), then="stall")

    with OpenAIServer(boss_and(helper, "x")) as model:
        boss, _ = pair(model.url)
        async with boss, asyncio.timeout(30):
            await boss.run_to_completion("go", abort_event=stop)
            assert boss.stop_reason == "aborted"
            assert_valid(boss.messages)
            assert await asyncio.to_thread(model.gone.wait, 20)  # the agent's answer isn't read any more


async def test_a_start_that_nobody_waits_for_any_more_goes_on_and_serves_the_next_task(tmp_path: Path) -> None:
    stop = asyncio.Event()
    go = tmp_path / "go"
    code = (
        f"import os, runpy, time\nopen({str(tmp_path / 'begun')!r}, 'w').close()\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\nrunpy.run_path({SERVER!r}, run_name='__main__')"
    )
    server = {"type": "stdio", "name": "slow", "command": sys.executable, "args": ["-c", code]}

    def helper(request: Recorded) -> Turn:
        return text("sum") if last(request)["role"] == "tool" else calls(("add", {"a": 1, "b": 1}))

    async def stop_once_it_begins() -> None:
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.01)
        stop.set()

    with OpenAIServer(boss_and(helper, "x")) as model:
        boss, inner = pair(model.url, servers=[server])
        async with boss, asyncio.timeout(60):
            watcher = asyncio.create_task(stop_once_it_begins())
            await boss.run_to_completion("go", abort_event=stop)
            assert boss.stop_reason == "aborted"
            await watcher
            go.touch()
            boss.messages[:] = boss.messages[:1]
            result = await boss.run_to_completion("again")
            assert result.text == "sum"
            assert list(inner.connections) == ["slow"]


async def test_an_agent_that_fails_is_a_result_with_the_reason() -> None:
    def helper(request: Recorded) -> Turn:
        return Turn(status=400, body=b'{"error": {"message": "no such thing"}}')

    with OpenAIServer(boss_and(helper, "x")) as model:
        boss, _ = pair(model.url)
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go")
            assert result.text.startswith("Error: the agent 'helper' failed: ")
            assert "no such thing" in result.text


async def test_a_server_that_must_be_there_and_is_not_fails_the_task_and_no_more() -> None:
    server = {"type": "stdio", "name": "gone", "command": sys.executable, "args": ["-c", "raise SystemExit(3)"]}
    with OpenAIServer(boss_and(lambda _: text("never"), "x")) as model:
        boss, _ = pair(model.url, servers=[server], required=["gone"])
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go")
            assert "the agent 'helper' failed" in result.text
            assert "gone" in result.text


async def test_an_answer_in_a_form_comes_back_in_that_form() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with OpenAIServer(boss_and(lambda _: text('{"n": 7}'), "x")) as model:
        boss, _ = pair(model.url, output=schema)
        async with boss, asyncio.timeout(30):
            result = await boss.run_to_completion("go")
            assert json.loads(result.text) == {"n": 7}
            offered = {tool["function"]["name"]: tool["function"] for tool in model.chats[0]["tools"]}
            assert '"required":["n"]' in offered["helper"]["description"]
            assert list(offered["helper"]["parameters"]["properties"]) == ["task"]


async def test_what_the_outer_agent_denies_the_inner_one_can_not_allow_and_questions_show_the_way() -> None:
    def helper(request: Recorded) -> Turn:
        if last(request)["role"] == "tool":
            answers = [m["content"] for m in request.body["messages"] if m["role"] == "tool"]
            return text(" + ".join(answers))
        return calls(("add", {"a": 1, "b": 2}), ("greet", {"name": "Ann"}), ids=["a", "b"])

    asked: list[str] = []

    async def approve(request: CallRequest) -> Approval:
        asked.append(request.name)
        return Approval("once")

    server = {"type": "stdio", "name": "s", "command": sys.executable, "args": [SERVER], "env": {"GREETING": "hello"}}
    with OpenAIServer(boss_and(helper, "x")) as model:
        inner = Agent(
            base_url=model.url,
            model="m",
            prompt="HELPER",
            servers=[server],
            gate=PermissionGate(Permissions.of(allow=["s.*"])),
        )
        rules = Permissions.of(default="ask", deny=["s.add"])
        async with Agent(base_url=model.url, model="m", prompt="BOSS", gate=PermissionGate(rules, approve)) as boss:
            boss.add_agent(inner, name="helper")
            async with asyncio.timeout(60):
                result = await boss.run_to_completion("go")
        assert "the user's rules forbid it (deny: s.add)" in result.text
        assert "Ann" in result.text
        assert asked == ["helper/s.greet"]


@pytest.mark.parametrize(
    "rules",
    [
        {"deny": ["function.wipe"]},
        {"deny": ["*.wipe"]},
        {"deny": ["helper/deeper/*.wipe"]},
        {"ask": ["*.wipe"]},
        {"ask": ["helper/deeper/function.*"]},
    ],
)
async def test_the_outermost_rules_hold_for_agents_of_agents(rules: dict[str, Any]) -> None:
    def answer(request: Recorded) -> Turn:
        if last(request)["role"] == "tool":
            return text(last(request)["content"])
        if "BOSS" in system(request):
            return calls(("helper", {"task": "t"}))
        return calls(("deeper", {"task": "t"})) if "HELPER" in system(request) else calls(("wipe", {}))

    asked: list[str] = []

    async def approve(request: CallRequest) -> Approval:
        asked.append(request.name)
        return Approval("no")

    wiped: list[bool] = []
    with OpenAIServer(answer) as model:
        boss, inner = pair(model.url)
        deepest = Agent(base_url=model.url, model="m", prompt="DEEPEST")
        deepest.add_tool(lambda: wiped.append(True), name="wipe")
        inner.add_agent(deepest, name="deeper")
        other = boss.new_conversation(gate=PermissionGate(Permissions.of(default="allow", **rules), approve))
        async with boss, asyncio.timeout(30):
            result = await other.run_to_completion("go")
    assert "the call of 'wipe' was not allowed" in result.text
    assert not wiped
    assert asked == (["helper/deeper/function.wipe"] if "ask" in rules else [])


async def test_a_circle_in_code_is_refused_with_its_names() -> None:
    a, b, c = (Agent(base_url="http://localhost:9", model="m") for _ in range(3))
    a.add_agent(b, name="b")
    b.add_agent(c, name="c")
    with pytest.raises(UsageError, match="in a circle: a -> b -> c -> itself"):
        c.add_agent(a, name="a")
    with pytest.raises(UsageError, match="there is a function 'b' already"):
        a.add_agent(Agent(base_url="http://localhost:9", model="m"), name="b")
    with pytest.raises(UsageError, match="a name has letters"):
        a.add_agent(c, name="two words")


async def test_a_limit_of_costs_wants_the_prices_of_all_agents() -> None:
    price = {"input": 1.0, "output": 1.0}
    boss = Agent(base_url="http://localhost:9", model="known", limits=Limits(cost_usd=1), prices={"known": price})
    with pytest.raises(UsageError, match="nobody knows what the model 'other' costs"):
        boss.add_agent(Agent(base_url="http://localhost:9", model="other"), name="x")


# ---- definitions

WITH_TOOLS = "model: m\nendpointUrl: http://localhost:9\ntools: {python: [tools.py]}\n"


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md").replace("_py", ".py").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


async def test_a_definition_has_agents_python_files_and_skills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        agent_yaml="prompt: BOSS\ntools:\n  python: [./tools.py]\n  agents: [./helper]\nskills: [./skills]\n",
        tools_py="from .words import GREETING\n\ndef greet(name: str) -> str:\n    return GREETING + name\n",
        words_py='GREETING = "Hello, "\n',
        helper__agent_yaml="description: Helps with sums.\nprompt: HELPER\n",
        skills__letters__SKILL_md="---\nname: letters\ndescription: How letters are written.\n---\nBegin with Dear.\n",
        skills__letters__end_md="Yours sincerely",
    )

    def answer(request: Recorded) -> Turn:
        if "HELPER" in system(request):
            return text("helped")
        if last(request)["role"] == "tool":
            return text(" | ".join(str(m["content"]) for m in request.body["messages"] if m["role"] == "tool"))
        return calls(
            ("greet", {"name": "Ann"}),
            ("helper", {"task": "x"}),
            ("load_skill", {"name": "letters"}),
            ("load_skill", {"name": "letters", "file": "end.md"}),
            ("load_skill", {"name": "letters", "file": "../../tools.py"}),
            ids=list("abcde"),
        )

    with OpenAIServer(answer) as model:
        monkeypatch.setenv("TINY_AGENTS_BASE_URL", model.url)
        monkeypatch.setenv("TINY_AGENTS_MODEL", "m")
        async with Agent.load(tmp_path) as agent, asyncio.timeout(30):
            await agent.load_tools()
            result = await agent.run_to_completion("go")
        greeting, helped, skill, end, outside = result.text.split(" | ")
        assert (greeting, helped, end) == ("Hello, Ann", "helped", "Yours sincerely")
        assert skill.startswith("Begin with Dear.\n\n[Files of this skill")
        assert "Error: UsageError: the skill 'letters' has no file '../../tools.py'" in outside
        assert "- letters: How letters are written." in system(model.requests[0])
        described = {t["function"]["name"]: t["function"].get("description") for t in model.chats[0]["tools"]}
        assert described["helper"] == "Helps with sums."


async def test_a_skill_that_is_edited_counts_at_once(tmp_path: Path) -> None:
    skill = tmp_path / "notes" / "SKILL.md"
    write(tmp_path, notes__SKILL_md="---\nname: notes\ndescription: One.\n---\nFirst.\n")
    with OpenAIServer([calls(("load_skill", {"name": "notes"})), text("ok")]) as model:
        async with Agent(base_url=model.url, model="m") as agent, asyncio.timeout(30):
            agent.add_skills(tmp_path)
            skill.write_text("---\nname: notes\ndescription: Other.\n---\nSecond, and longer.\n", encoding="utf-8")
            await agent.run_to_completion("go")
            assert "- notes: Other." in system(model.requests[0])
            assert last(model.requests[1])["content"] == "Second, and longer."
            assert agent.messages[0]["content"].count("notes") == 0  # it is said with each call, and not kept


@pytest.mark.parametrize(
    ("inner", "env", "asked"),
    [
        ("description: x", {}, ["outer-model", "outer-model", "outer-model"]),
        ("model: inner-model\nendpointUrl: URL", {}, ["outer-model", "inner-model", "outer-model"]),
        ("model: inner-model\nendpointUrl: URL", {"TINY_AGENTS_MODEL": "mine"}, ["mine", "mine", "mine"]),
    ],
)
async def test_an_agent_has_a_model_of_its_own_if_it_names_one_and_the_user_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str, env: dict[str, str], asked: list[str]
) -> None:
    def answer(request: Recorded) -> Turn:
        if "BOSS" not in system(request):
            return text("helped")
        return text("done") if last(request)["role"] == "tool" else calls(("helper", {"task": "x"}))

    with OpenAIServer(answer) as model:
        write(
            tmp_path,
            agent_yaml=f"model: outer-model\nendpointUrl: {model.url}\nprompt: BOSS\ntools: {{agents: [./helper]}}",
            helper__agent_yaml=f"name: helper\n{inner}".replace("URL", model.url),
        )
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        async with Agent.load(tmp_path) as agent, asyncio.timeout(30):
            await agent.run_to_completion("go")
        assert [chat["model"] for chat in model.chats] == asked


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (
            "import nothing_like_this\n\ndef f(): ...\n",
            1,
            "can't be imported: ModuleNotFoundError: No module named 'nothing",
        ),
        ("X = 1\n\n\nraise SystemExit('stop')\n", 4, "can't be imported: SystemExit: stop"),
        ("def _private(): ...\n", None, "has no public function"),
        ("__all__ = ['gone']\n", None, "__all__ names 'gone', which is not there"),
        ("X = 1\n\ndef f(*args: int) -> None: ...\n", 3, "'f' takes *args; name a tool's parameters one by one"),
    ],
)
async def test_a_python_file_that_is_wrong_says_where(
    tmp_path: Path, content: str, line: int | None, problem: str
) -> None:
    write(
        tmp_path,
        agent_yaml="model: m\nendpointUrl: http://localhost:9\ntools: {python: [tools.py]}\n",
        tools_py=content,
    )
    async with Agent.load(tmp_path) as agent:
        with pytest.raises(ConfigError) as caught:
            await agent.load_tools()
    assert caught.value.path == str(tmp_path / "tools.py")
    assert caught.value.line == line
    assert problem in caught.value.problem


async def test_nothing_of_a_python_file_runs_before_the_agent_starts(tmp_path: Path) -> None:
    content = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n\ndef f() -> int: return 1\n"
    write(
        tmp_path,
        agent_yaml="model: m\nendpointUrl: http://localhost:9\ntools: {python: [tools.py]}\n",
        tools_py=content,
    )
    async with Agent.load(tmp_path) as agent:
        assert not (tmp_path / "ran").exists()
        await agent.load_tools()
        assert (tmp_path / "ran").exists()
        assert (await agent.call_tool("f")).text == "1"


# ---- tasks


def png() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINY_AGENTS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


async def test_an_image_is_kept_in_a_private_file_and_shown_to_the_model(data: Path) -> None:
    painter = Turn(body=png(), headers={"content-type": "image/png"})
    with (
        OpenAIServer([painter]) as images,
        OpenAIServer([calls(("text_to_image", {"prompt": "x"})), text("ok")]) as model,
    ):
        async with Agent(base_url=model.url, model="m", images=True) as agent, asyncio.timeout(30):
            agent.add_task("text_to_image", model=f"{images.origin}/paint")
            result = await agent.run_to_completion("paint")
    told = next(m["content"] for m in result.messages if m["role"] == "tool")
    (path,) = data.glob("outputs/*/*")
    assert told == f"Kept in the file {path} (image/png, 3 x 2 pixels)."
    assert path.read_bytes().startswith(b"\x89PNG")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert images.requests[0].body["inputs"] == "x"
    assert last(model.requests[1])["content"][1]["type"] == "image_url"
    assert result.usage.cost_usd is None  # nobody knows
    assert (result.usage.model_calls, len(result.calls)) == (2, 2)


async def test_tasks_read_files_of_their_folders_and_no_others(data: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cat.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    describer = Turn(body=b'[{"generated_text": "a cat"}]', headers={"content-type": "application/json"})
    with OpenAIServer([describer]) as images:
        async with Agent(base_url="http://localhost:9", model="m") as agent, asyncio.timeout(30):
            agent.add_task("image_to_text", model=f"{images.origin}/look", folders=[tmp_path / "in"])
            for name in ("cat.png", str(tmp_path / "in" / "cat.png")):
                assert (await agent.call_tool("image_to_text", {"image": name})).text == "a cat"
            for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "gone.png", "", "a\0b"):
                refused = await agent.call_tool("image_to_text", {"image": name})
                assert refused.is_error
                assert f"in the folders that may be read from: {tmp_path / 'in'}" in refused.text
        assert len(images.requests) == 2


async def test_a_task_that_fails_is_told_with_its_reason(data: Path) -> None:
    with OpenAIServer([Turn(status=400, body=b'{"error": "too rude"}')]) as images:
        async with Agent(base_url="http://localhost:9", model="m") as agent, asyncio.timeout(30):
            agent.add_task("text_to_speech", model=f"{images.origin}/speak")
            result = await agent.call_tool("text_to_speech", {"text": "x"})
    assert result.is_error
    assert result.text.startswith("text_to_speech failed: ")
    assert "too rude" in result.text
    assert not data.exists()


async def test_tasks_and_a_limit_of_costs_do_not_go_together(tmp_path: Path) -> None:
    price = {"m": {"input": 1.0, "output": 1.0}}
    agent = Agent(base_url="http://localhost:9", model="m", limits=Limits(cost_usd=1), prices=price)
    with pytest.raises(UsageError, match="nobody knows what the task 'translation' costs"):
        agent.add_task("translation")
    with pytest.raises(UsageError, match="there is no task 'dance' that can be a tool; there are text_to_image"):
        agent.add_task("dance")


def test_every_task_is_a_tool_with_a_schema() -> None:
    agent = Agent(base_url="http://localhost:9", model="m")
    for task in TASKS:
        agent.add_task(task)
    described = {tool.function.name: tool.function for tool in agent.available_tools}
    assert set(described) == set(TASKS)
    assert all(tool.description for tool in described.values())
    assert described["text_to_image"].parameters["required"] == ["prompt"]
