"""Tokens and money: counted where the server counted, estimated and marked where it did not, never a zero for unknown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tiny_agents import Agent, ConfigError, Limits, ModelSettings, UsageError, parse_definition
from tiny_agents.agent.loop.prices import KNOWN, Price, checked_prices, load_prices, price_of
from tiny_agents.agent.loop.usage import Usage, dollars, estimated_tokens, usage_of_call
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutputUsage

ASKED: list[Any] = [{"role": "user", "content": "x" * 400}]
ANSWER = ChatCompletionInputMessage(role="assistant", content="y" * 40)
PRICE = Price(1.0, 10.0, 0.5)


def of(counted: Any, price: Price | None = PRICE) -> Usage:
    if counted is not None:
        counted = ChatCompletionStreamOutputUsage.parse_obj_as_instance(counted)
    return usage_of_call(counted, ASKED, [], ANSWER, price)


def test_what_the_server_counted_is_taken() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 30}}
    assert of({"prompt_tokens": 1000, "completion_tokens": 100, **details}) == Usage(
        input_tokens=1000,
        output_tokens=100,
        cached_tokens=400,
        reasoning_tokens=30,
        model_calls=1,
        cost_usd=pytest.approx((600 * 1 + 400 * 0.5 + 100 * 10) / 1e6),
    )


@pytest.mark.parametrize(
    ("counted", "price", "cost", "estimated"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 10}, None, None, False),
        ({"prompt_tokens": 10, "completion_tokens": 10, "cost": 0.25}, None, 0.25, False),
        ({"prompt_tokens": 10, "completion_tokens": 10, "cost": 0.25}, PRICE, 0.25, False),
        ({"prompt_tokens": 10, "completion_tokens": 10, "cost": "free"}, None, None, False),
        ({"prompt_tokens": 0, "completion_tokens": 0}, PRICE, 0.0, False),
        ({"prompt_tokens": 10}, None, None, True),
        ({"prompt_tokens": -1, "completion_tokens": True}, None, None, True),
        ({}, None, None, True),
        (None, None, None, True),
    ],
)
def test_an_unknown_price_is_unknown_and_an_estimate_says_so(
    counted: Any, price: Price | None, cost: float | None, estimated: bool
) -> None:
    usage = of(counted, price)
    assert (usage.cost_usd, usage.estimated) == (cost, estimated)


def test_an_estimate_is_about_four_bytes_a_token() -> None:
    usage = of(None)
    assert 100 <= usage.input_tokens <= 115
    assert 10 <= usage.output_tokens <= 25
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    assert 1000 <= estimated_tokens([{"role": "user", "content": [image]}]) < 1100
    assert estimated_tokens([{"role": "user", "content": "\ud800"}]) > 0


def test_usages_add_up_and_one_unknown_price_makes_the_sum_unknown() -> None:
    one = Usage(input_tokens=1, output_tokens=2, cached_tokens=1, reasoning_tokens=1, model_calls=1, cost_usd=0.5)
    assert one + one == Usage(
        input_tokens=2, output_tokens=4, cached_tokens=2, reasoning_tokens=2, model_calls=2, cost_usd=1.0
    )
    assert (one + Usage(cost_usd=None)).cost_usd is None
    assert (one + Usage(estimated=True)).estimated
    assert Usage() + one == one
    assert one.total_tokens == 3


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (Usage(), "0 model calls, 0 tokens in, 0 out, $0.00"),
        (
            Usage(input_tokens=12_345, output_tokens=6, cached_tokens=7, model_calls=1, cost_usd=0.00123),
            "1 model call, 12,345 tokens in, 6 out (7 cached), $0.0012",
        ),
        (
            Usage(input_tokens=5, model_calls=2, cost_usd=None, estimated=True),
            "2 model calls, about 5 tokens in, 0 out, cost unknown",
        ),
    ],
)
def test_usage_is_one_short_line(usage: Usage, text: str) -> None:
    assert str(usage) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (1234.5, "$1,234.50"), (0.1, "$0.10"), (0.099, "$0.099"), (3e-6, "$0.0000030")]
)
def test_small_amounts_keep_two_digits(amount: float, text: str) -> None:
    assert dollars(amount) == text


@pytest.mark.parametrize(
    ("place", "price"),
    [
        ({"model": "gpt-4o-mini", "provider": "openai"}, KNOWN["gpt-4o-mini:openai"]),
        ({"model": "gpt-4o-mini", "base_url": "https://api.openai.com/v1"}, KNOWN["gpt-4o-mini:openai"]),
        ({"model": "gpt-4o-mini", "base_url": "http://localhost:1234/v1"}, None),
        ({"model": "own"}, Price(1, 2)),
        ({"model": "own", "provider": "groq"}, Price(3, 4)),
        ({"model": "own", "base_url": "http://localhost:1234"}, Price(5, 6)),
        ({"model": "unknown"}, None),
        ({"model": None}, None),
        ({"model": None, "provider": "local"}, Price(0, 0)),
    ],
)
def test_the_users_prices_come_first_and_the_place_counts(place: dict[str, Any], price: Price | None) -> None:
    own = {"own": Price(1, 2), "own:groq": Price(3, 4), "own:localhost": Price(5, 6)}
    assert price_of(**place, own=own) == price


@pytest.mark.parametrize("price", [5, {"input": 1}, {"input": 1, "output": -1}, {"input": 1, "output": 1, "in": 1}])
def test_a_price_that_makes_no_sense_is_refused(price: Any) -> None:
    with pytest.raises(UsageError, match="prices\\['m'\\]"):
        checked_prices({"m": price})


def test_prices_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("my/model: {input: 0.5, output: 1.5}\n'other:groq': {input: 1, output: 2, cached_input: 0.1}\n")
    assert load_prices(file) == {"my/model": Price(0.5, 1.5), "other:groq": Price(1, 2, 0.1)}


@pytest.mark.parametrize("text", ["[1]", "m: 5", "1: {input: 1, output: 1}", "m: {input: a, output: 1}", "{", "\xff"])
def test_a_file_without_prices_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"prices\.yaml"):
        load_prices(file)


def test_a_file_of_prices_that_is_not_there_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no prices"):
        load_prices(tmp_path / "none.yaml")


# ---- docs/agent.md

PRICES_PAGE = (Path(__file__).parents[2] / "docs" / "agent.md").read_text(encoding="utf-8").partition("### Prices\n")[2]


def test_the_prices_that_are_known_are_on_the_page() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([\d.]+) \| ([\d.]+) \|$", PRICES_PAGE, re.MULTILINE)
    assert {f"{model}:openai": Price(float(read), float(written)) for model, read, written in rows} == KNOWN


def test_the_file_of_prices_on_the_page_is_read_as_it_says(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES_PAGE.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    own = load_prices(file)
    assert price_of("owner/model", own=own) == Price(0.5, 1.5)
    assert price_of("owner/model", provider="groq", own=own) == Price(0.6, 1.8)
    assert price_of("my-model", base_url="https://models.example.com/v1", own=own) == Price(0, 0)
    assert price_of("my-model", own=own) is None


def test_a_limit_of_costs_that_can_not_be_kept_is_named_with_its_place() -> None:
    model = ModelSettings("m", base_url="http://localhost:9/v1")
    unpriced = parse_definition("model: m\nlimits:\n  cost_usd: 1\n", path="agent.yaml")
    with pytest.raises(ConfigError) as caught:
        Agent.from_definition(unpriced, model)
    assert str(caught.value).startswith("agent.yaml:3:3: limits.cost_usd: can't be kept, because nobody knows what the")
    with pytest.raises(UsageError, match=r"^limits\.cost_usd can't be kept"):
        Agent.from_definition(replace(unpriced, places={}), model)
    known = parse_definition("limits: {cost_usd: 1, tokens: 5}")
    agent = Agent.from_definition(known, ModelSettings("gpt-4o", provider="openai", api_key="sk-x"))
    assert agent.limits == Limits(model_calls=20, cost_usd=1, tokens=5)
