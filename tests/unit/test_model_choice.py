"""Which model runs: every combination of sources that matters."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.model_choice import DEFAULT_MODEL, ModelSettings, choose_model, without_overridden
from tiny_agents.errors import ConfigError, MissingDependencyError

FLAG, ENV, DEF = "the command line", "the environment", "the definition"
HERE, THERE = "http://here:1234/v1", "http://there:5678/v1"

Said = dict[str, str]


def settings(said: Said) -> ModelSettings:
    return ModelSettings(said.get("model"), said.get("provider"), said.get("url"), said.get("key"))


def environment(said: Said) -> dict[str, str]:
    names = {"model": "MODEL", "provider": "PROVIDER", "url": "BASE_URL", "key": "API_KEY"}
    return {f"TINY_AGENTS_{names[key]}": value for key, value in said.items()}


def defined(said: Said, *, downloaded: bool = False) -> AgentDefinition:
    return AgentDefinition(
        "agent",
        model=said.get("model"),
        provider=said.get("provider"),
        endpoint_url=said.get("url"),
        api_key=said.get("key"),
        downloaded=downloaded,
    )


def choose(
    flags: Said, env: Said, definition: Said, *, token: bool = True, local: bool = True, downloaded: bool = False
) -> tuple[str | None, str | None, str | None, str | None, str]:
    chosen = choose_model(
        settings(flags),
        environment(env),
        defined(definition, downloaded=downloaded),
        has_hf_token=token,
        has_local=local,
    )
    return (chosen.model, chosen.provider, chosen.base_url, chosen.api_key, chosen.source)


# flags, environment, definition -> model, provider, base_url, api_key, source
TABLE = [
    # who comes first
    ({"model": "f"}, {"model": "e"}, {"model": "d"}, ("f", None, None, None, FLAG)),
    ({}, {"model": "e"}, {"model": "d"}, ("e", None, None, None, ENV)),
    ({}, {}, {"model": "d"}, ("d", None, None, None, DEF)),
    ({"provider": "pf", "model": "f"}, {"provider": "pe"}, {"provider": "pd"}, ("f", "pf", None, None, FLAG)),
    ({}, {"provider": "pe", "model": "e"}, {"provider": "pd"}, ("e", "pe", None, None, ENV)),
    ({}, {}, {"provider": "pd", "model": "d"}, ("d", "pd", None, None, DEF)),
    # a model from above, the place from below
    ({"model": "f"}, {}, {"provider": "pd", "model": "d"}, ("f", "pd", None, None, FLAG)),
    ({"model": "f"}, {"url": HERE, "model": "e"}, {}, ("f", None, HERE, None, FLAG)),
    ({}, {"model": "e"}, {"url": THERE, "model": "d", "key": "kd"}, ("e", None, THERE, "kd", ENV)),
    # a place from above: places below are forgotten, a model's name is kept
    ({"url": HERE}, {"provider": "pe"}, {"url": THERE, "model": "d"}, ("d", None, HERE, None, FLAG)),
    ({"url": HERE}, {"url": THERE, "model": "e"}, {"model": "d"}, ("e", None, HERE, None, FLAG)),
    ({"provider": "pf"}, {"url": THERE}, {"model": "d"}, ("d", "pf", None, None, FLAG)),
    ({}, {"url": HERE}, {"provider": "pd", "model": "d"}, ("d", None, HERE, None, ENV)),
    ({}, {"provider": "pe"}, {"url": THERE, "model": "d"}, ("d", "pe", None, None, ENV)),
    ({"url": HERE}, {}, {}, (None, None, HERE, None, FLAG)),
    ({}, {}, {"url": HERE, "provider": "ignored"}, (None, None, HERE, None, DEF)),
    # an address in the model's place is a place
    ({"model": HERE}, {"provider": "pe"}, {"provider": "pd", "model": "d"}, ("d", None, HERE, None, FLAG)),
    ({}, {}, {"model": HERE, "provider": "pd"}, (None, None, HERE, None, DEF)),
    ({"provider": "pf", "model": "f"}, {"model": HERE}, {}, ("f", "pf", None, None, FLAG)),
    ({"provider": "auto"}, {"model": HERE}, {"model": "d"}, ("d", "auto", None, None, FLAG)),
    # the embedded model takes no name from below, nor does its file leave it
    ({"provider": "local"}, {"model": "e"}, {"model": "d"}, (None, "local", None, None, FLAG)),
    ({"provider": "local"}, {"url": HERE, "key": "ke"}, {"url": THERE, "key": "kd"}, (None, "local", None, None, FLAG)),
    ({"provider": "local", "model": "a.gguf"}, {"model": "e"}, {}, ("a.gguf", "local", None, None, FLAG)),
    ({"model": "a.gguf"}, {"url": HERE}, {}, ("a.gguf", "local", None, None, FLAG)),
    ({}, {"provider": "local"}, {"model": "d", "provider": "pd"}, (None, "local", None, None, ENV)),
    ({}, {}, {"provider": "local", "model": "a.gguf"}, ("a.gguf", "local", None, None, DEF)),
    ({"model": "b.gguf"}, {}, {"provider": "local", "model": "a.gguf"}, ("b.gguf", "local", None, None, FLAG)),
    ({}, {}, {"provider": "local"}, (None, "local", None, None, DEF)),
    ({"provider": "auto"}, {}, {"provider": "local", "model": "a.gguf"}, (DEFAULT_MODEL, "auto", None, None, FLAG)),
    ({"url": HERE}, {}, {"provider": "local", "model": "o/r:a.gguf"}, (None, None, HERE, None, FLAG)),
    # keys stay with the place their source meant
    ({"key": "kf"}, {"key": "ke"}, {"url": HERE, "key": "kd"}, (None, None, HERE, "kf", DEF)),
    ({}, {"key": "ke"}, {"url": HERE, "key": "kd"}, (None, None, HERE, "ke", DEF)),
    ({"url": HERE}, {"key": "ke"}, {}, (None, None, HERE, "ke", FLAG)),
    ({"url": HERE}, {"url": HERE + "/", "key": "ke"}, {}, (None, None, HERE, "ke", FLAG)),
    ({"url": HERE}, {"url": THERE, "key": "ke"}, {"key": "kd"}, (None, None, HERE, None, FLAG)),
    ({"url": HERE}, {}, {"url": THERE, "key": "kd"}, (None, None, HERE, None, FLAG)),
    ({"url": HERE}, {}, {"url": HERE, "key": "kd"}, (None, None, HERE, "kd", FLAG)),
    ({"provider": "pf", "model": "f"}, {}, {"provider": "pd", "key": "kd"}, ("f", "pf", None, None, FLAG)),
    ({}, {"url": HERE}, {"key": "kd", "model": "d"}, ("d", None, HERE, None, ENV)),
    ({}, {}, {"key": "kd", "model": "d"}, ("d", None, None, "kd", DEF)),
    ({"model": "f"}, {}, {"key": "kd", "model": "d"}, ("f", None, None, "kd", FLAG)),
    # blank is not said
    ({"model": " ", "url": ""}, {"provider": "", "url": " "}, {"model": "d"}, ("d", None, None, None, DEF)),
]


@pytest.mark.parametrize(("flags", "env", "definition", "expected"), TABLE)
def test_the_first_source_that_says_it_decides(
    flags: Said, env: Said, definition: Said, expected: tuple[str | None, ...]
) -> None:
    assert choose(flags, env, definition) == expected


@pytest.mark.parametrize(
    ("token", "local", "expected"),
    [
        (True, True, (DEFAULT_MODEL, None, None, None, "your Hugging Face token")),
        (True, False, (DEFAULT_MODEL, None, None, None, "your Hugging Face token")),
        (False, True, (None, "local", None, None, "the embedded model")),
    ],
)
def test_where_nothing_is_said_the_token_decides_and_then_the_embedded_model(
    token: bool, local: bool, expected: tuple[str | None, ...]
) -> None:
    assert choose({}, {}, {}, token=token, local=local) == expected


def test_where_nothing_is_there_the_three_ways_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        choose({}, {}, {}, token=False, local=False)

    message = str(caught.value)
    assert message.startswith("nothing says which model to run. There are three ways: ")
    for way in ("HF_TOKEN", "--base-url", "TINY_AGENTS_BASE_URL", "endpointUrl", "pip install 'tiny-agents[local]'"):
        assert way in message


@pytest.mark.parametrize(
    ("flags", "env", "definition", "source"),
    [({"model": "m"}, {}, {}, FLAG), ({}, {"model": "m"}, {}, ENV), ({}, {}, {"model": "m"}, DEF)],
)
def test_a_model_without_a_place_needs_a_token(flags: Said, env: Said, definition: Said, source: str) -> None:
    with pytest.raises(ConfigError, match=f"the model 'm' comes from {source}, but no place to run it does"):
        choose(flags, env, definition, token=False)


@pytest.mark.parametrize(("env", "definition"), [({"key": "k"}, {"model": "m"}), ({}, {"model": "m", "key": "k"})])
def test_a_key_is_as_good_as_a_token(env: Said, definition: Said) -> None:
    assert choose({}, env, definition, token=False) == ("m", None, None, "k", DEF)


def test_a_provider_without_a_model_gets_the_default_only_at_hugging_face() -> None:
    assert choose({"provider": "auto"}, {}, {})[:2] == (DEFAULT_MODEL, "auto")
    with pytest.raises(ConfigError, match="the provider 'groq' comes from the command line, but nothing names a model"):
        choose({"provider": "groq"}, {}, {})


@pytest.mark.parametrize(
    ("flags", "env", "message"),
    [
        ({"provider": "p", "url": HERE}, {}, "--provider and --base-url name two places; give one"),
        ({"provider": "local", "model": HERE}, {}, "--provider and the address in --model name two places; give one"),
        ({}, {"provider": "p", "url": HERE}, "TINY_AGENTS_PROVIDER and TINY_AGENTS_BASE_URL name two places; give one"),
        (
            {"url": "localhost:80"},
            {},
            "--base-url: must be an address such as https://host/path, but is 'localhost:80'",
        ),
        ({}, {"url": "x"}, "TINY_AGENTS_BASE_URL: must be an address such as https://host/path, but is 'x'"),
    ],
)
def test_a_source_that_contradicts_itself_is_an_error(flags: Said, env: Said, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(flags, env, {})

    assert str(caught.value) == message


def test_the_embedded_model_that_is_not_installed_names_its_extra() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'tiny-agents\[local\]'"):
        choose({"provider": "local"}, {}, {}, local=False)


def test_a_key_that_lies_in_the_environment_does_not_follow_a_downloaded_definition() -> None:
    assert choose({}, {"key": "ke"}, {"url": THERE}, downloaded=True)[3] is None
    assert choose({}, {"key": "ke"}, {"provider": "p", "model": "m"}, downloaded=True)[3] is None
    assert choose({}, {"url": THERE, "key": "ke"}, {"url": THERE}, downloaded=True)[3] == "ke"
    assert choose({"key": "kf"}, {}, {"url": THERE}, downloaded=True)[3] == "kf", "said for this run"
    assert choose({"url": HERE}, {"key": "ke"}, {"url": THERE}, downloaded=True)[3] == "ke"


def test_no_combination_sends_a_key_from_below_to_another_place() -> None:
    """Every way to name places and models in three sources, with and without keys in the lower two."""
    says: list[Said] = [{}, {"model": "m"}, {"model": HERE}, {"model": "a.gguf"}]
    says += [{"provider": "p", "model": "m"}, {"provider": "local"}, {"provider": "auto"}]
    says += [{"url": HERE}, {"url": THERE, "model": "m"}]
    for flags, env, definition in itertools.product(says, repeat=3):
        for keys in ({"definition"}, {"env"}, {"definition", "env"}):
            env_said = {**env, **({"key": "ke"} if "env" in keys else {})}
            def_said = {**definition, **({"key": "kd"} if "definition" in keys else {})}
            try:
                chosen = choose_model(
                    settings(flags), environment(env_said), defined(def_said), has_hf_token=True, has_local=True
                )
            except ConfigError:
                continue
            if chosen.api_key == "kd":
                assert chosen.place is None or replace(chosen, model=None).place == settings(definition).place
            if chosen.api_key == "ke" and settings(env).place is not None:
                assert replace(chosen, model=None).place == settings(env).place
            if chosen.provider == "local":
                assert chosen.api_key is None
                assert chosen.base_url is None
                assert chosen.model in (None, "a.gguf", "m")


def test_settings_show_no_key() -> None:
    assert "secret" not in repr(ModelSettings("m", api_key="secret"))
    assert ModelSettings("m", "p", None, "k", "s").as_kwargs() == {
        "model": "m",
        "provider": "p",
        "base_url": None,
        "api_key": "k",
    }


def test_an_overridden_definition_needs_no_value_for_its_key() -> None:
    definition = parse_definition(
        "model: m\nendpointUrl: ${input:url}\napiKey: ${input:k}\ninputs: [{id: k}, {id: url}]"
    )
    local = ModelSettings(provider="local")

    with pytest.raises(ConfigError, match="also without a value: 'url'"):
        resolve_inputs(without_overridden(definition, ModelSettings(model="other"), {}), env={})
    kept = resolve_inputs(without_overridden(definition, local, {}), env={}, warn=lambda text: None)
    assert (kept.endpoint_url, kept.api_key, kept.model) == (None, None, "m")
    chosen = choose_model(local, {}, kept, has_hf_token=False, has_local=True)
    assert (chosen.provider, chosen.model, chosen.api_key) == ("local", None, None)
