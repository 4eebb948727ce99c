"""`tiny-agents login` and `logout`, and a login in the middle of `run`, at a real terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.browsing import address_at_the_end_of
from tests.support.oauth_server import OAuthWorld, oauth_world
from tests.support.openai_server import OpenAIServer, text
from tests.support.program import PROGRAM, environment, run, write_agent

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")]
if sys.platform != "win32":
    from tests.support.terminal import CTRL_C, CTRL_D, ENTER, Terminal

BROWSER = f"{sys.executable} -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' %s"
"""A browser whose person agrees to everything."""


@pytest.fixture
def world() -> Iterator[OAuthWorld]:
    with oauth_world() as world:
        yield world


def with_browser(folder: Path, browser: str = BROWSER) -> Mapping[str, str]:
    return {**environment(folder), "BROWSER": browser}


def terminal(folder: Path, *arguments: str, browser: str = BROWSER) -> Terminal:
    return Terminal([*PROGRAM, *arguments], env=with_browser(folder, browser), cwd=folder, columns=500)


def test_a_person_logs_in_looks_and_logs_out(world: OAuthWorld, tmp_path: Path) -> None:
    with terminal(tmp_path, "login", world.url) as screen:
        screen.wait_for(r"wants you to log in at 127\.0\.0\.1\.$")
        screen.wait_for(r"Open this page\? \[y/N\], or the address it ended at if you opened it:$")
        screen.type("y" + ENTER)
        screen.wait_for(rf"^Logged in at {world.url}: 2 tools\.$")
        assert screen.wait_for_exit() == 0
    shown = run("login", cwd=tmp_path)
    assert shown.out == f"{world.url}\n  logged in at {world.base}; renewed by itself\n"
    done = run("logout", world.url, cwd=tmp_path)
    assert done.code == 0
    assert f"Logged out at {world.url}" in done.err
    assert len(world.paths("/revoke")) == 2
    assert world.access == world.refresh == {}
    assert run("logout", world.url, cwd=tmp_path).code == 2


def test_where_the_browser_is_elsewhere_its_address_is_pasted(world: OAuthWorld, tmp_path: Path) -> None:
    with terminal(tmp_path, "login", world.url, browser="false") as screen:
        shown = screen.wait_for(r"Open this page\?")
        page = next(line.strip() for line in shown.splitlines() if "/authorize?" in line)
        screen.type("y" + ENTER)
        screen.wait_for(r"No browser could be started here")
        screen.type("http://127.0.0.1:1/?code=1&state=2" + ENTER)
        screen.wait_for(r"That is no answer: it belongs to another login")
        screen.type(address_at_the_end_of(page) + ENTER)
        screen.wait_for(r"^Logged in at")
        assert screen.wait_for_exit() == 0


def test_a_no_and_ctrl_c_leave_nothing_behind(world: OAuthWorld, tmp_path: Path) -> None:
    with terminal(tmp_path, "login", world.url) as screen:
        screen.wait_for(r"Open this page\?")
        screen.type(ENTER)
        screen.wait_for(r"you did not\s+agree to it")
        assert screen.wait_for_exit() == 1
    with terminal(tmp_path, "login", world.url) as screen:
        screen.wait_for(r"Open this page\?")
        screen.type(CTRL_C)
        assert screen.wait_for_exit() == 130
    assert world.access == {}


def test_a_conversation_begins_with_the_login_that_its_server_wants(world: OAuthWorld, tmp_path: Path) -> None:
    servers = {"box": {"url": world.url, "protocol": "legacy"}}
    with OpenAIServer([text("Hello.")]) as model:
        command = ["run", write_agent(tmp_path, servers=servers), "--base-url", model.url]
        asked = run(*command, "-p", "Hi", cwd=tmp_path)
        assert asked.code == 1
        assert f"tiny-agents login {world.url}" in asked.err
        with terminal(tmp_path, *command) as screen:
            screen.wait_for(r"The server box wants you to log in")
            screen.type("y" + ENTER)
            screen.wait_for(r"^server: box, 2 tools$")
            screen.wait_for(r"^>$")
            screen.type(CTRL_D)
            assert screen.wait_for_exit() == 0
        assert run(*command, "-p", "Hi", cwd=tmp_path).out == "Hello.\n"


def test_an_agent_is_logged_in_at_all_its_remote_servers(world: OAuthWorld, tmp_path: Path) -> None:
    with oauth_world(protected=False) as open_world:
        servers = {
            "box": {"url": world.url, "auth": "oauth"},
            "open": {"url": open_world.url},
            "local": {"command": "x"},
        }
        with terminal(tmp_path, "login", write_agent(tmp_path, servers=servers)) as screen:
            screen.wait_for(r"Open this page\?")
            screen.type("y" + ENTER)
            screen.wait_for(rf"^Logged in at {world.url}: 2 tools\.$")
            screen.wait_for(rf"^No login is needed at {open_world.url}: 2 tools\.$")
            assert screen.wait_for_exit() == 0


def test_a_login_without_a_person_says_so(world: OAuthWorld, tmp_path: Path) -> None:
    done = run("login", world.url, cwd=tmp_path)
    assert done.code == 2
    assert "takes a person at a terminal" in done.err
    assert world.seen == []
