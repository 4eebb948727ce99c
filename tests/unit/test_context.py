"""What is sent of a conversation longer than its model takes: always a valid history, and short enough if that can be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.history import assert_valid
from tiny_agents import AsyncInferenceClient, ChatCompletionInputMessage, ProviderError, Usage, UsageError
from tiny_agents.agent.context.conversation import Context
from tiny_agents.agent.context.cuts import cut_at, with_group
from tiny_agents.agent.context.settings import ContextSettings, context_settings
from tiny_agents.agent.context.summary import question, transcript, without_model
from tiny_agents.agent.context.tally import Tally, ToolTally
from tiny_agents.agent.context.windows import excess_in, known_window
from tiny_agents.agent.loop.limits import Limits
from tiny_agents.agent.loop.rules import LoopState, room_beside
from tiny_agents.agent.loop.usage import estimated_tokens
from tiny_agents.errors import InferenceConnectionError
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.mcp_client.asking.asking import Seat, Seats
from tiny_agents.mcp_client.events import ContextCompacted
from tiny_agents.mcp_client.observing.observing import Observing
from tiny_agents.mcp_client.results.media import is_tool_media, media_message

Message = ChatCompletionInputMessage


def message(role: str, content: Any = None, **fields: Any) -> Message:
    return Message.parse_obj_as_instance({"role": role, "content": content, **fields})


def user(text: Any) -> Message:
    return message("user", text)


def answer(text: str) -> Message:
    return message("assistant", text)


def call(*ids: str) -> Message:
    function = {"name": "look", "arguments": '{"at": "it"}'}
    return message("assistant", None, tool_calls=[{"id": i, "type": "function", "function": function} for i in ids])


def result(call_id: str, text: str = "found it") -> Message:
    return message("tool", text, tool_call_id=call_id, name="look")


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def images() -> Message:
    return media_message([("look", IMAGE)])


def conversation(requests: int, *, turns: int = 1, words: int = 50) -> list[Message]:
    """Requests with `turns` tool calls each, some `6 * words` characters per message."""
    made = [message("system", "Be brief.")]
    for number in range(requests):
        made.append(user(f"request {number} " + "words " * words))
        for turn in range(turns):
            made += [call(f"c{number}-{turn}"), result(f"c{number}-{turn}", "found " * words)]
        made.append(answer(f"answer {number} " + "words " * words))
    return made


# ---------------------------------------------------------------- a context without a server


class Summarizes:
    """A stream that holds one answer."""

    def __init__(self, text: str) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
        self._left = [ChatCompletionStreamOutput.parse_obj_as_instance({"choices": [choice]})]

    async def arrived(self) -> list[Any]:
        left, self._left = self._left, []
        return left

    async def aclose(self) -> None:
        self._left = []


@dataclass
class World:
    """A conversation and its context; `summary` None is a model that can't be asked."""

    messages: list[Any]
    settings: ContextSettings = field(default_factory=ContextSettings)
    summary: str | None = "They looked at things."
    params: Mapping[str, Any] = field(default_factory=dict)
    affordable: bool = True
    events: list[Any] = field(default_factory=list)
    asked: list[list[Any]] = field(default_factory=list)
    spent: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        seat = Seat(AsyncInferenceClient(base_url="http://127.0.0.1:9/v1"), "some-model")
        self.seats = Seats([seat], self.events.append)
        self.context = Context(
            self.settings,
            messages=lambda: self.messages,
            seats=self.seats,
            ask=self.ask,
            emit=self.events.append,
            params=self.params,
            price=lambda: None,
        )
        self.context.begin(self)

    async def ask(self, messages: list[Any], params: Mapping[str, Any]) -> Any:
        assert_valid(messages)
        self.asked.append(messages)
        if self.summary is None:
            raise InferenceConnectionError("nobody is there")
        call = Observing().model_call(None, messages=messages)
        with call.asking("some-model", "", ("", 0)):
            return Summarizes(self.summary), call

    def affords(self, tokens: int) -> bool:
        return self.affordable

    def spend(self, usage: Usage) -> None:
        self.spent += usage

    def view(self, tools: Any = (), instructions: str | None = None) -> list[Any]:
        return list(asyncio.run(self.context.of(self.messages, tools, instructions)))

    def refused(self, body: str, status: int = 400) -> list[Any] | None:
        error = ProviderError(body, status=status, body=body)
        found = asyncio.run(self.context.shorter(self.messages, (), None, error))
        return None if found is None else list(found)


def has(view: list[Any], message: Any) -> bool:
    """Whether the words of a message are in the view, on their own or within another of the user's."""
    return any(str(message.get("content")) in str(each.get("content")) for each in view)


def test_a_conversation_that_fits_is_sent_as_it_is() -> None:
    world = World(conversation(3), ContextSettings(max_tokens=4_000))
    assert world.view() == world.messages
    assert not world.events
    assert world.context.tokens == estimated_tokens(world.messages)


def test_a_long_one_is_summed_up_and_its_last_requests_stay_word_for_word() -> None:
    world = World(conversation(30), ContextSettings(max_tokens=4_000))
    before = list(world.messages)
    view = world.view()
    assert_valid(view)
    assert world.messages == before
    (event,) = world.events
    assert (event.by, event.max_tokens) == ("summary", 4_000)
    assert event.after < 0.8 * 4_000 / 2 + 100 < 4_000 * 0.8 < event.before
    assert event.left_out == 121 - 1 - len(world.messages[world.context.compaction.upto :])  # type: ignore[union-attr]
    assert view[0].content == "Be brief."
    assert "They looked at things." in view[1].content
    assert "request 27" in view[1].content  # the summary and the request are one message: roles take turns
    assert view[-1] is world.messages[-1]
    assert [each["role"] for each in view[:2]] == ["system", "user"]
    assert len(world.asked) == 1
    assert world.spent.model_calls == 1


def test_a_second_summary_builds_on_the_first_and_is_made_only_when_it_is_needed() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000))
    world.view()
    assert len(world.asked) == 1
    first = world.view()
    assert len(world.asked) == 1, "nothing has been added"
    more = conversation(40)[1:]
    rounds = 0
    for start in range(0, len(more), 4):
        exchange = [Message.parse_obj_as_instance(m.to_dict()) for m in more[start : start + 4]]
        for each in exchange:
            for made in each.tool_calls or ():
                made.id = f"more{start}-{made.id}"
            if each.tool_call_id:
                each.tool_call_id = f"more{start}-{each.tool_call_id}"
        world.messages += exchange
        view = world.view()
        assert_valid(view)
        assert estimated_tokens(view) <= 1_700
        rounds += 1
    assert 3 < len(world.asked) < rounds / 2
    assert "Summary of what was before:\nThey looked at things." in world.asked[-1][1].content
    assert first[0] is world.messages[0]


def test_where_no_summary_can_be_had_older_messages_are_left_out_with_a_note() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000), summary=None)
    view = world.view()
    assert_valid(view)
    assert world.events[0].by == "cut"
    assert "were left out here without a summary" in view[1].content
    assert "- request 8 words" in view[1].content
    assert len(view[1].content) < 3_000


def test_a_request_that_can_not_afford_a_summary_gets_none() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000), affordable=False)
    assert_valid(world.view())
    assert not world.asked
    assert world.events[0].by == "cut"


def test_a_request_with_many_turns_is_cut_between_them_and_keeps_what_was_asked() -> None:
    world = World([*conversation(2), *conversation(1, turns=60)[1:-1]], ContextSettings(max_tokens=3_000))
    for index, each in enumerate(world.messages):
        each.content = f"#{index} {each.content}" if each.content else None
    world.messages[9] = user("What is the answer?")
    for each in world.messages[10:]:
        for made in each.tool_calls or ():
            made.id = f"late-{made.id}"
        each.tool_call_id = f"late-{each.tool_call_id}" if each.tool_call_id else None
    view = world.view()
    assert_valid(view)
    assert has(view, world.messages[9])
    assert view[-1] is world.messages[-1]
    assert estimated_tokens(view) < 2_400
    assert [each["role"] for each in view[:3]] == ["system", "user", "assistant"]


def test_pinned_messages_stay_with_what_belongs_to_them() -> None:
    world = World(conversation(20), ContextSettings(max_tokens=3_000))
    looked = next(m for m in world.messages if m.tool_calls)
    world.context.pin(looked, 5)
    view = world.view()
    assert_valid(view)
    assert looked in view
    assert view[view.index(looked) + 1].tool_call_id == looked.tool_calls[0].id
    assert has(view, world.messages[5])
    assert world.context.pinned == [looked, world.messages[5]]
    world.context.unpin(looked)
    assert looked not in world.view()


def test_what_is_not_in_the_conversation_can_not_be_pinned() -> None:
    world = World(conversation(1))
    for wrong in (user("request 0"), 99, -6, "x"):
        with pytest.raises(UsageError, match=r"none of agent.messages"):
            world.context.pin(wrong)
    assert world.context.pinned == []


def test_images_go_first_but_for_the_last_one() -> None:
    made = [message("system", "Be brief."), user([{"type": "text", "text": "see"}, IMAGE]), answer("I see.")]
    for number in range(5):
        made += [user("look"), call(f"i{number}"), result(f"i{number}"), images(), answer("seen")]
    world = World(made, ContextSettings(max_tokens=5_000))
    view = world.view()
    assert_valid(view)
    assert [event.by for event in world.events] == ["images"]
    assert not world.asked
    assert view[1].content == [
        {"type": "text", "text": "see"},
        {"type": "text", "text": "[an image that was here is left out to save room]"},
    ]
    assert view[-2] is made[-2]
    assert sum("image_url" in str(each.content) for each in view) == 1
    assert world.view() == view


def test_long_results_are_cut_where_nothing_else_helps() -> None:
    world = World(
        [*conversation(1)[:1], user("look"), call("a", "b"), result("a", "x" * 9_000), result("b", "y" * 9_000)]
    )
    world.context.settings = ContextSettings(max_tokens=1_000)
    view = world.view()
    assert_valid(view)
    assert world.events[0].by == "results"
    assert estimated_tokens(view) < 800
    assert "these are the first" in view[-1].content
    assert len(world.messages[-1].content) == 9_000


def test_it_is_not_summed_up_turn_by_turn_where_what_must_stay_is_too_long() -> None:
    world = World([message("system", "long " * 3_000), *conversation(10)[1:]], ContextSettings(max_tokens=4_000))
    for number in range(10):
        assert_valid(world.view())
        world.messages += [user(f"again {number}"), answer("yes")]
    assert len(world.asked) <= 2


def test_compaction_can_be_switched_off() -> None:
    world = World(conversation(30), ContextSettings(max_tokens=1_000, compact=False))
    assert world.view() == world.messages
    assert world.refused("This model's maximum context length is 1000 tokens") is None


# ---------------------------------------------------------------- what the owner of the messages does to them


def test_a_conversation_that_is_started_anew_has_no_summary() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000))
    world.view()
    assert world.context.summary is not None
    del world.messages[1:]
    world.messages.append(user("hello"))
    assert world.view() == world.messages
    assert world.context.summary is None


def test_taking_back_what_was_summed_up_last_brings_the_summary_before_back() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000), summary="first")
    world.view()
    length = len(world.messages)
    more = [user(f"and {number} " + "words " * 50) if number % 2 == 0 else answer("well " * 50) for number in range(40)]
    world.messages += more
    world.summary = "second"
    assert has(world.view(), user("second"))
    del world.messages[length:]
    world.messages.append(user("again"))
    view = world.view()
    assert_valid(view)
    assert world.context.summary == "first"
    assert has(view, user("again"))
    assert len(world.asked) == 2


def test_another_system_prompt_is_sent_at_once() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000))
    world.view()
    world.messages[0] = message("system", "Be kind.")
    view = world.view()
    assert view[0] is world.messages[0]
    assert world.context.summary is not None


def test_a_message_that_is_replaced_is_estimated_anew() -> None:
    world = World(conversation(3), ContextSettings(max_tokens=100_000))
    world.view()
    before = world.context.tokens
    world.messages[5] = user("x" * 4_000)
    world.view()
    assert world.context.tokens == estimated_tokens(world.messages) > before + 900


def test_each_message_is_estimated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = conversation(200)
    tally = Tally()
    seen: list[int] = []
    real = estimated_tokens
    monkeypatch.setattr(
        "tiny_agents.agent.context.tally.estimated_tokens", lambda values: (seen.append(1), real(values))[1]
    )
    for end in range(1, len(made) + 1):
        tally.follow(made[:end])
    assert len(seen) == len(made)
    assert tally.between(0, len(made)) == real(made)
    tools = [{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}]
    counts = ToolTally()
    del seen[:]
    assert counts.of(tools) == counts.of(tools) == real(tools)
    assert len(seen) == 2


# ---------------------------------------------------------------- sessions


def test_what_is_saved_leads_to_the_same_view_without_a_summary_anew() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=2_000))
    world.context.pin(3)
    view = world.view()
    saved = world.context.saved()
    again = World([Message.parse_obj_as_instance(m.to_dict()) for m in world.messages], world.settings)
    again.context.restore(saved)
    assert again.view() == view
    assert not again.asked
    assert again.context.pinned == [again.messages[3]]


@pytest.mark.parametrize(
    "saved",
    [
        None,
        {},
        {"summary": "s", "upto": 99},
        {"summary": "s", "upto": 0},
        {"summary": 3, "upto": 2},
        {"summary": "s", "upto": "2"},
        {"pinned": "x", "carried": 7},
        {"pinned": [99, "a", -5]},
    ],
)
def test_what_was_saved_and_does_not_fit_is_forgotten(saved: Any) -> None:
    world = World(conversation(2))
    world.context.restore(saved)
    assert world.view() == world.messages
    assert world.context.pinned == []


# ---------------------------------------------------------------- what servers say


# fmt: off
COMPLAINTS = [
    (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
     "tokens.", 8192, 9000),
    (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 "
     "in the messages, 1000 in the completion).", 4096, 5000),
    (400, "This endpoint's maximum context length is 128,000 tokens. However, you requested about 140,123 "
     "tokens", 128_000, 140_123),
    (400, "prompt is too long: 201234 tokens > 200000 maximum", 200_000, 201_234),
    (400, "The input token count (1100000) exceeds the maximum number of tokens allowed "
     "(1048576).", 1_048_576, 1_100_000),
    (422, "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000", 4096, 5000),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 "
     "`inputs` tokens", 4096, 4000),
    (400, "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
     "context length", 32_768, 40_000),
    (400, '{"error":{"code":400,"message":"the request exceeds the available context size, try increasing '
     'it","type":"exceed_context_size_error","n_prompt_tokens":5010,"n_ctx":4096}}', 4096, 5010),
    (400, "The prompt (total length 5000) is too long to fit into the model (context length 4096).", 4096, 5000),
    (400, "The prompt is too long: 140000, model maximum context length: 131071", 131_071, 140_000),
    (400, "This model's maximum prompt length is 131072 but the request contains 140000 tokens.", 131_072, 140_000),
    (400, "Range of input length should be [1, 30720]", 30_720, None),
    (400, "Please reduce the length of the messages or completion. code: context_length_exceeded", None, None),
    (400, "Input is too long for requested model.", None, None),
    (413, "413 Request Entity Too Large", None, None),
]
# fmt: on


@pytest.mark.parametrize(("status", "said", "window", "sent"), COMPLAINTS)
def test_a_server_s_complaint_tells_the_window(status: int, said: str, window: int | None, sent: int | None) -> None:
    excess = excess_in(ProviderError("refused", status=status, body=said))
    assert excess is not None
    assert (excess.window, excess.sent) == (window, sent)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (413, "Request too large for model on tokens per minute (TPM): Limit 6000, Requested 7000. context length"),
        (429, "rate limit: reduce the length of the messages"),
        (400, "temperature must be at most 2"),
        (401, "maximum context length is 4096"),
        (400, "unknown field context"),
    ],
)  # fmt: skip
def test_other_complaints_are_not_about_the_window(status: int, said: str) -> None:
    assert excess_in(ProviderError("refused", status=status, body=said)) is None


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("gpt-4o-mini", 128_000),
        ("openai/gpt-4.1-nano", 1_047_576),
        ("gpt-4o", 128_000),
        ("claude-sonnet-4-5", 200_000),
        ("gemini-2.5-pro", 1_048_576),
        ("gpt-4ostrich", None),
        ("Qwen/Qwen3-32B", None),
        ("", None),
        (None, None),
    ],
)
def test_windows_that_are_known(model: str | None, window: int | None) -> None:
    assert known_window(model) == window


def test_what_a_server_refused_is_made_shorter_and_its_window_is_remembered() -> None:
    world = World(conversation(12))
    assert world.view() == world.messages
    said = "This model's maximum context length is 1500 tokens. However, your messages resulted in 3200 tokens."
    view = world.refused(said)
    assert view is not None
    assert_valid(view)
    assert world.context.max_tokens == 1_500
    assert world.context.tokens < 750
    assert world.refused(said) is not None, "once more, and shorter"
    assert world.refused(said) is None, "then it is given up"
    world.seats.now = Seat(world.seats.now.client, "another-model")
    assert world.context.max_tokens is None


def test_what_can_not_be_made_shorter_stays_an_error() -> None:
    world = World([message("system", "x" * 9_000), user("hello")])
    world.view()
    assert world.refused("maximum context length is 1000 tokens") is None


def test_room_for_the_answer_is_left() -> None:
    world = World(conversation(12), ContextSettings(max_tokens=4_000), params={"max_tokens": 3_000})
    world.view()
    assert world.context.tokens < 1_000


# ---------------------------------------------------------------- settings, summaries, limits


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"max_tokens": 10}, "max_tokens must be a whole number, at least 500; got 10"),
        ({"max_tokens": True}, "max_tokens must be a whole number"),
        ({"keep": 0}, "keep must be a whole number, at least 1"),
        ({"at": 2}, "at must be a number from 0.2 to 0.95; got 2"),
        ({"at": "0.8"}, "at must be a number"),
        ({"compact": "never"}, "compact must be True or False; got 'never'"),
        ({"result_max_chars": 5}, "result_max_chars must be a whole number, at least 500"),
        ({"max_token": 5}, "there is no 'max_token'; it has max_tokens, compact, at"),
        (7, "context must be ContextSettings or a mapping"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        context_settings(given)


def test_settings_as_a_definition_has_them() -> None:
    assert context_settings({"max_tokens": "auto", "compact": "auto"}) == ContextSettings()
    assert context_settings({"compact": "off", "at": 0.5}) == ContextSettings(compact=False, at=0.5)
    assert context_settings(None) == ContextSettings()


def test_a_question_for_a_summary_fits_into_its_room_and_is_valid() -> None:
    older = conversation(300)[1:]
    asked = question(older, "before " * 20, 5_000, 800)
    assert_valid(asked)
    assert sum(len(str(each.content)) for each in asked) < 5_500
    assert "request 299" in asked[1].content
    short = transcript([user("hi"), call("a"), result("a", "x" * 300), answer("done")], 10_000)
    assert short.splitlines()[:2] == ["User: hi", 'Assistant calls look {"at": "it"}']


def test_what_stands_in_place_of_a_summary_is_bounded_however_often_it_is_made() -> None:
    before = ""
    for _ in range(30):
        before = without_model(conversation(20)[1:], before, 1_500)
        assert len(before) <= 1_510
    assert without_model([answer("x")], "", 500) == "(1 message was left out here without a summary.)"


@pytest.mark.parametrize(
    ("limits", "turns", "tokens", "room"),
    [
        (Limits(), 0, 1_000, True),
        (Limits(model_calls=1), 0, 1_000, False),
        (Limits(model_calls=2), 0, 1_000, True),
        (Limits(model_calls=3), 0, 1_000, True),
        (Limits(model_calls=3), 1, 1_000, False),
        (Limits(model_calls=3, last_answer=False), 1, 1_000, True),
        (Limits(tokens=3_000), 0, 1_000, True),
        (Limits(tokens=1_500), 0, 1_000, False),
        (Limits(cost_usd=1.0), 0, 1_000, True),
        (Limits(cost_usd=0.1), 0, 1_000, False),
    ],
)
def test_a_summary_leaves_the_limits_room_for_the_answer(limits: Limits, turns: int, tokens: int, room: bool) -> None:
    assert room_beside(LoopState(turns=turns), limits, tokens, 0.07) is room


# ---------------------------------------------------------------- any conversation


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    made = [
        message(role, "Be brief. " * draw(st.integers(1, 40)))
        for role in draw(st.sampled_from([[], ["system"], ["developer"]]))
    ]
    count = 0
    for _ in range(draw(st.integers(0, 12))):
        made.append(
            user(draw(st.sampled_from(["ask", "ask " * 100, "äöü " * 80, [{"type": "text", "text": "see"}, IMAGE]])))
        )
        for _ in range(draw(st.integers(0, 4))):
            ids = [f"c{count + n}" for n in range(draw(st.integers(1, 3)))]
            count += len(ids)
            made.append(call(*ids))
            made += [result(i, draw(st.sampled_from(["", "found", "found " * 80, "x" * 4_000]))) for i in ids]
            if draw(st.booleans()):
                made.append(images())
        if draw(st.integers(0, 4)):
            made.append(answer(draw(st.sampled_from(["so", "so it is " * 60]))))
    if not made or made[-1]["role"] not in ("user", "tool"):
        made.append(user("and now?"))
    return made


@given(
    made=conversations(),
    window=st.sampled_from([500, 1_000, 2_000, 4_000]),
    keep=st.integers(1, 4),
    at=st.sampled_from([0.3, 0.8, 0.95]),
    summary=st.sampled_from([None, "", "They looked.", "blah " * 3_000]),
    pins=st.lists(st.integers(0, 60), max_size=3),
    steps=st.lists(st.sampled_from(["turn", "answer", "refused", "compact", "back", "image", "session"]), max_size=6),
)
def test_a_view_is_always_valid_holds_what_is_pinned_and_fits_if_it_can(
    made: list[Message], window: int, keep: int, at: float, summary: str | None, pins: list[int], steps: list[str]
) -> None:
    world = World(made, ContextSettings(max_tokens=window, keep=keep, at=at), summary=summary)
    world.context.pin(*{place for place in pins if place < len(made)})
    check(world, world.view())
    for number, step in enumerate(steps):
        match step:
            case "turn":
                world.messages += [call(f"s{number}"), result(f"s{number}", "found " * 50)]
            case "answer":
                world.messages += [answer("well " * 50), user("and " * 20)]
            case "image":
                world.messages += [call(f"s{number}"), result(f"s{number}"), images()]
            case "back":
                del world.messages[max(2, len(world.messages) // 2) :]
                start, _ = with_group(world.messages, len(world.messages) - 1)
                del world.messages[start:]
                world.messages.append(user("once more"))
            case "compact":
                asyncio.run(world.context.compact(world))
            case "refused":
                shorter = world.refused(f"maximum context length is {window} tokens")
                if shorter is not None:
                    check(world, shorter)
            case "session":
                saved = world.context.saved()
                world = World(world.messages, world.settings, summary=summary)
                world.context.restore(saved)
        check(world, world.view())


def check(world: World, view: list[Any]) -> None:
    assert_valid(view)
    for pinned in world.context.pinned:
        assert (
            has(view, pinned) or pinned.get("role") == "tool" or pinned.tool_calls or isinstance(pinned.content, list)
        )
        if pinned.tool_calls:
            assert pinned in view
    last = next(m for m in reversed(world.messages) if m.get("role") == "user" and not is_tool_media(m))
    assert has(view, last) or isinstance(last.content, list)
    roles = [m["role"] for m in view if m["role"] not in ("system", "developer")]
    assert roles[0] == "user"
    if world.context.compaction is None or world.context.pinned:
        return
    lead = [m for m in world.messages[:1] if m["role"] in ("system", "developer")]
    fixed = estimated_tokens([*lead, last])
    most = (world.context.max_tokens or 0) * world.settings.at
    start, end = with_group(world.messages, len(world.messages) - 1)
    if fixed + estimated_tokens(world.messages[start:end]) + 300 < most / 2:  # what must stay leaves room
        assert estimated_tokens(view) <= most + 100


@given(made=conversations(), room=st.integers(0, 3_000), keep=st.integers(1, 4), whole=st.booleans())
def test_a_cut_never_splits_calls_from_their_results(made: list[Message], room: int, keep: int, whole: bool) -> None:
    tally = Tally()
    tally.follow(made)
    cut = cut_at(made, 0, room, tally.between, keep, whole=whole)
    assert_valid(made[:cut])
    assert_valid(made[cut:])


def test_an_event_says_what_was_done() -> None:
    world = World(conversation(12))
    event = asyncio.run(world.context.compact(world))
    assert isinstance(event, ContextCompacted)
    assert (event.by, event.max_tokens) == ("summary", None)
    assert world.context.compaction is not None
    assert world.context.compaction.upto == len(world.messages) - 4 * 3, "the last three requests stay"
    assert asyncio.run(World(conversation(1)).context.compact(world)) is None
