"""`tiny-agents chat`, `models` and `completion`: the real program."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, text
from tests.support.program import LIMIT_S, run
from tiny_agents.cli import COMMANDS

pytestmark = [pytest.mark.integration]


def test_chat_asks_a_model_alone_and_goes_on(tmp_path: Path) -> None:
    with OpenAIServer([text("Fine.")]) as model:
        where = ["--base-url", model.url, "--model", "m"]
        done = run("chat", *where, "-p", "Hi.", "--system", "Be brief.", cwd=tmp_path)
        assert (done.code, done.out, done.err) == (0, "Fine.\n", "")
        assert "tools" not in model.chats[0]
        assert [m["content"] for m in model.chats[0]["messages"]] == ["Be brief.", "Hi."]
        done = run("chat", *where, "-p", "And?", "--continue", "--output", "json", cwd=tmp_path)
        end = json.loads(done.out)
        assert (done.code, end["text"]) == (0, "Fine.")
        assert [m["content"] for m in model.chats[1]["messages"]][1:] == ["Hi.", "Fine.", "And?"]
        assert run("run", "--resume", end["session"], "-p", "So?", cwd=tmp_path).code == 0
        assert len(model.chats[2]["messages"]) == 6


def test_chat_without_any_model_says_how_to_get_one(tmp_path: Path) -> None:
    env = {"PYTHONPATH": "", "HOME": str(tmp_path), "HF_TOKEN": ""}
    done = run("chat", "-p", "x", "--provider", "openai", cwd=tmp_path, **env)
    assert (done.code, done.out) == (2, "")
    assert "--model" in done.err


def test_weights_are_listed_and_deleted_by_name(tmp_path: Path) -> None:
    kept = tmp_path / "cache/tiny-agents/hub/models--ada--tiny-GGUF/main/sub/tiny.gguf"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"GGUF" + bytes(2_000_000))
    (kept.parents[2] / ".part").mkdir()
    (kept.parents[2] / ".part" / "x.gguf").touch()
    listed = json.loads(run("models", "list", "--json", cwd=tmp_path).out)
    assert [(each["name"], each["is_there"]) for each in listed] == [
        ("SmolLM2-135M-Instruct", False),
        ("ada/tiny-GGUF:sub/tiny.gguf", True),
    ]
    assert "licence Apache-2.0, not fetched" in run("models", cwd=tmp_path).out
    done = run("models", "rm", "SmolLM2-135M-Instruct", cwd=tmp_path)
    assert (done.code, "ada/tiny-GGUF:sub/tiny.gguf" in done.err, kept.exists()) == (2, True, True)
    done = run("models", "rm", "ada/tiny-GGUF:sub/tiny.gguf", cwd=tmp_path)
    assert (done.code, kept.exists()) == (0, False)
    pulled = run("models", "pull", str(tmp_path / "no.gguf"), cwd=tmp_path)
    assert (pulled.code, "there is no such file" in pulled.err) == (1, True)


BASH = """
source "$1"
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _tiny_agents; echo "${COMPREPLY[*]}"; }
complete_line tiny-agents ru
complete_line tiny-agents run cl
complete_line tiny-agents run clock --permission ''
complete_line tiny-agents sessions export --form
complete_line tiny-agents show fi
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_agents_flags_values_and_files(tmp_path: Path) -> None:
    (tmp_path / "c.bash").write_text(run("completion", "bash", cwd=tmp_path).out)
    (tmp_path / "file-of-mine.yaml").touch()
    shell = ["bash", "-c", BASH, "bash", "c.bash"]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == ["run", "clock", "allow ask deny", "--format", "files"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_of_other_shells_know_all_commands_and_can_be_read(tmp_path: Path, shell: str) -> None:
    script = tmp_path / f"c.{shell}"
    script.write_text(run("completion", shell, cwd=tmp_path).out)
    words = set(script.read_text().replace("'", " ").replace(";", " ").split())
    assert set(COMMANDS) <= words
    if shutil.which(shell) is not None:
        done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert (done.returncode, done.stderr) == (0, "")
