"""Python files, skills and agents of a definition: found, checked, shown and locked, with nothing of them run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.lock import differences, lock_of
from tiny_agents.agent.definition.requirements import commands_and_hosts, missing_of_agents
from tiny_agents.agent.skills.library import MAX_LISTED_CHARS, Skills
from tiny_agents.agent.skills.reading import files_of, read_skill
from tiny_agents.errors import ConfigError, UsageError

SKILL = "---\nname: letters\ndescription: How letters are written.\n---\nBegin with Dear.\n"


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def problem(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_definition(folder)
    return str(caught.value).replace(str(folder), "")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"agent.yaml": "tools:\n  python: [gone.py]"},
            "/agent.yaml:2:12: tools.python[0]: there is no file 'gone.py' beside the definition",
        ),
        (
            {"agent.yaml": "tools: {python: [a.py]}", "a.py": "def f(:\n"},
            "/a.py:1:7: is no Python: invalid syntax",
        ),
        ({"agent.yaml": "tools: {python: [a.py]}", "a.py": "x = '\0'"}, "/a.py: is no Python: "),
        (
            {"agent.yaml": "tools: {python: [../a.py]}"},
            "tools.python[0]: '../a.py' lies outside the agent's folder",
        ),
        ({"agent.yaml": "skills: [gone]"}, "skills[0]: there is no folder 'gone' beside the definition"),
        (
            {"agent.yaml": "skills: [s]", "s/README.md": "x"},
            "skills[0]: the folder 's' has no skill: a folder with a SKILL.md",
        ),
        (
            {"agent.yaml": "skills: [s]", "s/a/SKILL.md": "Hello"},
            "/s/a/SKILL.md: a skill begins with a line '---', then its name and description, then another '---'",
        ),
        (
            {"agent.yaml": "skills: [s]", "s/a/SKILL.md": "---\nname: a\n---\n"},
            "/s/a/SKILL.md:2:1: description: missing; the model goes by it",
        ),
        (
            {"agent.yaml": "skills: [s]", "s/a/SKILL.md": "---\nname: My Skill\ndescription: x\n---\n"},
            "/s/a/SKILL.md:2:1: name: must be at most 64 small letters, digits and single '-', but is 'My Skill'",
        ),
        (
            {"agent.yaml": "skills: [s]", "s/a/SKILL.md": SKILL, "s/b/SKILL.md": SKILL},
            "skills[0]: two skills are called 'letters': /s/a and /s/b",
        ),
        (
            {"agent.yaml": "tools:\n  agents: [./gone]"},
            "/agent.yaml:2:12: tools.agents[0]: the agent './gone' can't be used: /gone: no such file or folder",
        ),
        (
            {"agent.yaml": "tools: {agents: [clok]}"},
            "the agent 'clok' can't be used: no such file or folder beside the definition, and the bundled agents are "
            "clock, files, web (did you mean 'clock'?)",
        ),
        (
            {"agent.yaml": "tools: {agents: [../other]}"},
            "lies outside the agent's folder",
        ),
        (
            {"agent.yaml": "tools: {agents: [./b.yaml]}", "b.yaml": "modle: x"},
            "tools.agents[0]: the agent './b.yaml' can't be used: /b.yaml:1:1: modle: unknown key",
        ),
        (
            {"agent.yaml": "name: top\ntools: {agents: [./b.yaml]}", "b.yaml": "tools:\n  agents: [./agent.yaml]"},
            "/b.yaml:2:12: tools.agents[0]: agents are tools of each other in a circle: top -> b -> top",
        ),
        (
            {"agent.yaml": "name: top\ntools: {agents: [./agent.yaml]}"},
            "tools.agents[0]: agents are tools of each other in a circle: top -> top",
        ),
        (
            {"agent.yaml": "tools: {agents: [./b.yaml, ./c.yaml]}", "b.yaml": "name: x", "c.yaml": "name: x"},
            "tools.agents[1]: two agents would be the tool 'x': give one of them a `name`",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, files: dict[str, str], said: str) -> None:
    assert said in problem(put(tmp_path / "a", files)).replace("\\", "/")


def test_agents_are_nested_so_deep_and_no_deeper(tmp_path: Path) -> None:
    for n in range(6):
        put(tmp_path, {f"a{n}.yaml": f"tools: {{agents: [./a{n + 1}.yaml]}}"})
    put(tmp_path, {"a6.yaml": "name: end"})
    assert load_definition(tmp_path / "a2.yaml").tools.agents[0].loaded.tools.agents
    with pytest.raises(ConfigError, match="agents are nested more than 4 deep"):
        load_definition(tmp_path / "a0.yaml")


def test_a_few_agents_that_name_a_few_are_not_loaded_without_end(tmp_path: Path) -> None:
    for n in range(4):
        names = ", ".join(f"{{agent: ./a{n + 1}.yaml, name: t{m}}}" for m in range(10))
        put(tmp_path, {f"a{n}.yaml": f"tools: {{agents: [{names}]}}"})
    put(tmp_path, {"a4.yaml": "name: end"})
    with pytest.raises(ConfigError, match="more than 50 agents belong to this one"):
        load_definition(tmp_path / "a0.yaml")


def test_everything_of_an_agent_and_of_its_agents_is_shown(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "agent.yaml": "tools:\n  python: [t.py]\n  agents: [./inner]\n  tasks: [text_to_image]\n"
            "  folders: ['${workspaceFolder}']\nskills: [s]",
            "t.py": "def f(): ...",
            "s/letters/SKILL.md": SKILL,
            "inner/agent.yaml": "name: in ner\nservers: {x: {command: some-program-nobody-has}}",
        },
    )
    definition = load_definition(tmp_path)
    assert commands_and_hosts(definition) == [
        "runs the Python file, inside this program: t.py",
        "sends what the model writes for text_to_image to: the inference provider auto",
        "lets these tasks read files in: ${workspaceFolder}",
        "reads skills in: s",
        "uses as a tool the agent: ./inner",
        "the agent 'in_ner' runs the command: some-program-nobody-has",
    ]
    assert missing_of_agents(definition)[0].startswith("the agent 'in_ner': the server 'x' is started with")


def test_inputs_of_agents_are_given_like_ones_own(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "agent.yaml": "tools: {agents: [./inner.yaml]}",
            "inner.yaml": "inputs: [{id: key, password: true}]\n"
            "servers:\n  x: {url: 'http://h', headers: {K: '${input:key}'}}",
        },
    )
    definition = load_definition(tmp_path)
    resolved = resolve_inputs(definition, values={"key": "s3cret-value"}, env={})
    assert resolved.tools.agents[0].loaded.servers[0].params["headers"] == {"K": "s3cret-value"}
    assert "s3cret-value" in resolved.secrets
    with pytest.raises(
        ConfigError, match=r"the input 'kye', which the definition doesn't have \(did you mean 'key'\?\)"
    ):
        resolve_inputs(definition, values={"kye": "x"}, env={})


def test_a_lock_knows_files_skills_and_agents(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "agent.yaml": "tools: {python: [t.py], agents: [./inner]}\nskills: [s]",
            "t.py": "def f(): ...",
            "s/letters/SKILL.md": SKILL,
            "s/letters/end.md": "Yours",
            "inner/agent.yaml": "name: inner",
        },
    )
    lock = lock_of(load_definition(tmp_path))
    assert set(lock.files) == {"agent.yaml", "t.py", "s/letters/SKILL.md", "s/letters/end.md"}
    assert set(lock.agents["inner"].files) == {"agent.yaml"}
    put(tmp_path, {"t.py": "def f(): return 1", "s/letters/end.md": "Bye", "inner/agent.yaml": "name: inner\nmodel: m"})
    assert differences(lock, load_definition(tmp_path)) == [
        "changed: s/letters/end.md",
        "changed: t.py",
        "the agent inner: changed: agent.yaml",
    ]
    put(tmp_path, {"agent.yaml": "skills: [s]"})
    assert "gone agent: inner" in differences(lock, load_definition(tmp_path))


# ---- skills


def test_links_never_lead_out_of_a_skill(tmp_path: Path) -> None:
    put(tmp_path, {"secret.txt": "s", "skills/letters/SKILL.md": SKILL, "skills/letters/in.md": "inside"})
    folder = tmp_path / "skills" / "letters"
    os.symlink(tmp_path / "secret.txt", folder / "out.md")
    os.symlink(folder / "in.md", folder / "also.md")
    os.symlink(tmp_path, folder / "up")
    skills = Skills([tmp_path / "skills"])

    assert files_of(folder) == ["SKILL.md", "also.md", "in.md"]
    assert skills.load_skill("letters", "also.md") == "inside"
    for name in ("out.md", "up/secret.txt", "../../secret.txt", str(tmp_path / "secret.txt"), "a\0b", "gone.md"):
        with pytest.raises(UsageError, match="has no file"):
            skills.load_skill("letters", name)


def test_a_skill_of_a_downloaded_agent_is_read_only_as_it_was_downloaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import hashlib

    put(tmp_path, {"letters/SKILL.md": SKILL, "letters/end.md": "Yours"})
    files = [tmp_path / "letters" / name for name in ("SKILL.md", "end.md")]
    pinned = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    put(tmp_path, {"letters/end.md": "Send me money"})
    skills = Skills([tmp_path], pinned)
    assert skills.load_skill("letters").startswith("Begin with Dear.")
    with pytest.raises(ConfigError, match="isn't as it was downloaded"):
        skills.load_skill("letters", "end.md")
    put(tmp_path, {"letters/SKILL.md": SKILL + "More."})
    assert skills.listing() is None
    assert "a skill is left out" in caplog.text


def test_the_listing_is_bounded_and_names_the_rest(tmp_path: Path) -> None:
    for n in range(40):
        put(tmp_path, {f"s{n:02}/SKILL.md": f"---\nname: s{n:02}\ndescription: {'x' * 1000}\n---\n"})
    listing = Skills([tmp_path]).listing() or ""
    assert len(listing) < MAX_LISTED_CHARS + 1_000
    assert "- and, too many to describe them here: s15, s16" in listing
    assert "s39" in listing


def test_what_is_no_text_and_an_unknown_skill_are_told(tmp_path: Path) -> None:
    put(tmp_path, {"letters/SKILL.md": SKILL})
    (tmp_path / "letters" / "logo.png").write_bytes(b"\x89PNG\xff")
    skills = Skills([tmp_path])
    with pytest.raises(UsageError, match=r"logo.png is no text; it is the file .*logo.png"):
        skills.load_skill("letters", "logo.png")
    with pytest.raises(UsageError, match="there is no skill 'numbers'; there are: letters"):
        skills.load_skill("numbers")
    assert read_skill(tmp_path / "letters").body == "Begin with Dear."
