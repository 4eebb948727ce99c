"""`tiny-agents config`: defaults of the person, and what comes before them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, text
from tests.support.program import run, write_agent
from tiny_agents.cli.config import Config, config_path, read_config, set_value
from tiny_agents.errors import ConfigError, UsageError

pytestmark = [pytest.mark.integration]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"TINY_AGENTS_CONFIG": str(tmp_path / "config.toml")}


def test_a_default_holds_where_neither_flag_nor_environment_nor_definition_says_anything(tmp_path: Path) -> None:
    key = {"MY_KEY": "my-very-own-key", "TINY_AGENTS_MODEL": ""}
    (tmp_path / "bare.yaml").write_text("name: bare\n")
    named = write_agent(tmp_path, name="named", model="of-definition")
    with OpenAIServer([text("Fine.")]) as model:
        for name, value in (("base_url", model.url), ("model", "of-config"), ("api_key_env", "MY_KEY")):
            assert run("config", "set", name, value, cwd=tmp_path).code == 0
        assert json.loads(run("config", "show", "--json", cwd=tmp_path).out)["model"] == "of-config"
        assert run("run", "bare.yaml", "-p", "x", cwd=tmp_path, **key).code == 0
        assert run("run", "bare.yaml", "-p", "x", "--model", "flag", "--base-url", model.url, cwd=tmp_path).code == 0
        env = {"TINY_AGENTS_MODEL": "of-env", "TINY_AGENTS_BASE_URL": model.url}
        assert run("run", "bare.yaml", "-p", "x", cwd=tmp_path, **env).code == 0
        asked = [(r.body["model"], r.headers.get("authorization")) for r in model.requests]
        assert asked == [("of-config", "Bearer my-very-own-key"), ("flag", None), ("of-env", None)]
    done = run("run", named, "-p", "x", cwd=tmp_path, HF_TOKEN="")
    assert (done.code, "'of-definition'" in done.err) == (2, True)
    done = run("run", "bare.yaml", "-p", "x", cwd=tmp_path)
    assert (done.code, "MY_KEY is not set" in done.err) == (2, True)


def test_sessions_and_usage_have_defaults_too(tmp_path: Path) -> None:
    agent = write_agent(tmp_path)
    (tmp_path / "config" / "tiny-agents").mkdir(parents=True)
    (tmp_path / "config" / "tiny-agents" / "config.toml").write_text("sessions = false\nusage = true\n")
    with OpenAIServer([text("Fine.")]) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, "1 model call" in done.err) == (0, True)
    assert run("sessions", "list", "--json", cwd=tmp_path).out == ""


def test_a_change_leaves_all_other_lines_as_they_are(env: dict[str, str]) -> None:
    path = config_path(env)
    path.write_text('# mine\nmodel = "a" # why\n\nusage = true\n')
    set_value("permission", "ask", env)
    set_value("model", 'b "quoted" ü', env)
    assert (
        path.read_text(encoding="utf-8") == '# mine\nmodel = "b \\"quoted\\" ü"\n\nusage = true\npermission = "ask"\n'
    )
    set_value("model", None, env)
    set_value("model", None, env)
    set_value("usage", "off", env)
    assert read_config(env) == Config(permission="ask", usage=False)
    assert tomllib.loads(path.read_text()) == {"permission": "ask", "usage": False}


BAD = {
    "modle": ("x", "did you mean 'model'"),
    "api_key": ("sk-123456789", "api_key_env names the variable"),
    "api_key_env": ("sk-123456789", "name of an environment variable"),
    "base_url": ("localhost", "an address"),
    "permission": ("maybe", "allow, ask or deny"),
    "sessions": ("sometimes", "true or false"),
    "model": ("two\nlines", "one line"),
}


@pytest.mark.parametrize("key", BAD)
def test_a_value_that_makes_no_sense_is_refused_and_never_repeated(env: dict[str, str], key: str) -> None:
    value, words = BAD[key]
    with pytest.raises(ConfigError, match=words) as caught:
        set_value(key, value, env)
    assert "sk-" not in str(caught.value)
    assert not config_path(env).exists()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("usage = true\nmodel = ?\n", "config.toml: no TOML.*line 2"),
        ("modle = 'x'", "config.toml: modle: unknown key"),
        ("model = 3", "config.toml: model: must be a text"),
        ("provider = 'groq'\nbase_url = 'http://x/v1'", "two places"),
        ("\xff", "isn't text"),
    ],
)
def test_a_file_that_cannot_be_used_names_the_place(env: dict[str, str], written: str, words: str) -> None:
    config_path(env).write_bytes(written.encode("latin-1"))
    with pytest.raises(ConfigError, match=words):
        read_config(env)


def test_a_value_over_several_lines_is_left_to_its_owner(env: dict[str, str]) -> None:
    config_path(env).write_text('model = """\nm"""\n')
    with pytest.raises((UsageError, ConfigError)):
        set_value("model", "x", env)
    assert config_path(env).read_text() == 'model = """\nm"""\n'


def test_the_file_is_where_the_platform_keeps_such_things(tmp_path: Path) -> None:
    assert config_path({}, "linux", tmp_path) == tmp_path / ".config/tiny-agents/config.toml"
    assert config_path({"XDG_CONFIG_HOME": "/x"}, "linux", tmp_path) == Path("/x/tiny-agents/config.toml")
    assert config_path({"XDG_CONFIG_HOME": "relative"}, "linux", tmp_path).is_relative_to(tmp_path)
    assert config_path({}, "darwin", tmp_path).parts[-4:-2] == ("Library", "Application Support")
    assert config_path({"APPDATA": "/roaming"}, "win32", tmp_path) == Path("/roaming/tiny-agents/config.toml")
