"""What names an agent on the Hub, and what only looks like it."""

from __future__ import annotations

import pytest

from tiny_agents.agent.definition.reference import HubReference, hub_reference

OURS = "tiny-agents/tiny-agents"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("julien-c/local-coder", HubReference(OURS, "julien-c/local-coder")),
        ("evalstate/hf.js-assistant", HubReference(OURS, "evalstate/hf.js-assistant")),
        ("u/a@main", HubReference(OURS, "u/a", "main")),
        ("u/a@v1.2", HubReference(OURS, "u/a", "v1.2")),
        ("u/a@refs/pr/3", HubReference(OURS, "u/a", "refs/pr/3")),
        ("u/a@" + "0" * 40, HubReference(OURS, "u/a", "0" * 40)),
        ("hf://datasets/o/n", HubReference("o/n", "")),
        ("hf://datasets/o/n/", HubReference("o/n", "")),
        ("hf://datasets/o/n/x/y/z", HubReference("o/n", "x/y/z")),
        ("hf://datasets/o/n@v1/x", HubReference("o/n", "x", "v1")),
        ("hf://datasets/o/n@refs/pr/3/x", HubReference("o/n", "x", "refs/pr/3")),
        ("hf://datasets/o/n@refs%2Fpr%2F3/x", HubReference("o/n", "x", "refs/pr/3")),
        ("hf://datasets/o/n@feature%2Fone/x", HubReference("o/n", "x", "feature/one")),
        ("hf://datasets/o/n/x/other.yaml", HubReference("o/n", "x", None, "other.yaml")),
        ("hf://datasets/o/n/agent.json", HubReference("o/n", "", None, "agent.json")),
        ("clock", None),
        ("sub/agent.json", None),
        ("a/b/c", None),
        ("https://example.org/a", None),
        ("C:\\agents\\one", None),
        ("../a", None),
        ("/a/b", None),
    ],
)
def test_a_reference_is_told_from_a_path(text: str, expected: HubReference | None) -> None:
    assert hub_reference(text) == expected


def test_a_reference_has_a_short_name_an_address_and_a_revision() -> None:
    short = HubReference(OURS, "u/a")
    assert (short.name, short.address, str(short.at("v1"))) == ("u/a", f"hf://datasets/{OURS}/u/a", "u/a@v1")
    assert short.at(None) is short
    other = HubReference("o/n", "x", file="b.yaml")
    assert other.name == other.address == "hf://datasets/o/n/x/b.yaml"
    assert str(HubReference("o/n", "")) == "hf://datasets/o/n"
