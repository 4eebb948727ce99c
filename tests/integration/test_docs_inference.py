"""What docs/inference shows, runs: every Python block of every page, against servers on loopback.

A page's blocks run in order, in one program. A fence called `text` says what the block before it prints. Without
one nothing may be printed. The pages are run as they are, but for servers on the reader's own machine, which get a port.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.provider_tables import KINDS, builders, providers, tasks_table, updated
from tests.support.inference_world import PNG, answer
from tests.support.internet import Asked, Internet
from tests.support.run_blocks import in_own_process
from tiny_agents import AsyncInferenceClient, InferenceClient

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "inference"
PAGES = sorted(FOLDER.glob("*.md"))
LOCAL = re.compile(r"http://localhost:\d+")
TOKEN = "hf_saved_token_of_the_reader"


@dataclass(frozen=True)
class Block:
    source: str
    prints: str | None


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```\n", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        language, source = match[1], match[2]
        if language == "python":
            found.append(Block(source, None))
        elif language == "text":
            assert found, f"{page.name}: an output without a block before it"
            assert found[-1].prints is None, f"{page.name}: two outputs of one block"
            found[-1] = Block(found[-1].source, source)
        else:
            assert language in ("console", "diff", "yaml"), f"{page.name}: a fence called {language!r}"
    return found


def run(sources: list[str], folder: Path, internet: Internet) -> list[str]:
    """What each block printed, in a program for which the internet is `internet`, and which finds a saved token."""
    home = folder / "hf-home"
    home.mkdir()
    (home / "token").write_text(TOKEN, encoding="utf-8")
    (folder / "cat.png").write_bytes(PNG)
    (folder / "speech.flac").write_bytes(b"fLaC and so on")
    addressed = (LOCAL.sub(internet.address, source) for source in sources)
    output = in_own_process(addressed, cwd=folder, env={**internet.environment, "HF_HOME": str(home)})
    return [printed.replace(internet.address, "http://localhost:8080") for printed in output]


def hugging_face_tokens_elsewhere(asked: list[Asked]) -> list[str]:
    ours = ("huggingface.co", "huggingface.cloud")
    return [one.host for one in asked if (one.key or "").startswith("hf_") and not one.host.endswith(ours)]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_block_of_a_page_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    shown = blocks(page)
    with Internet(answer, tmp_path) as internet:
        printed = run([block.source for block in shown], tmp_path, internet)
    assert len(printed) == len(shown)
    for block, output in zip(shown, printed, strict=True):
        assert output == (block.prints or ""), f"{page.name}: {block.source}"
    if page.stem != "authentication":  # where one is handed over for another host, on purpose
        assert not hugging_face_tokens_elsewhere(internet.asked)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_index_lists_every_page() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == {page.name for page in PAGES} - {"README.md"}


def test_the_tables_say_what_the_code_does() -> None:
    command = [sys.executable, "-m", "scripts.provider_tables", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_table_that_is_out_of_date_is_seen() -> None:
    page = (FOLDER / "tasks.md").read_text(encoding="utf-8")
    assert updated(page, "tasks", tasks_table()) == page
    assert updated(page, "tasks", tasks_table().replace("summarization", "abridgement")) != page


def test_every_task_of_the_table_is_a_method_of_both_clients() -> None:
    methods = [builder.__name__ for modules in KINDS.values() for builder in builders(modules)]
    assert [name for name in methods if not hasattr(InferenceClient, name)] == []
    assert [name for name in methods if not hasattr(AsyncInferenceClient, name)] == []
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"all {len(methods)} tasks" in index
    assert f"any of {len(providers())} providers" in index


def test_a_block_that_is_wrong_fails() -> None:
    """So that a page can't pass by not being run."""
    with pytest.raises(AssertionError, match="AttributeError: 'int' object has no attribute 'upper'"):
        in_own_process(["x = 1", "x.upper()"], cwd=ROOT)
