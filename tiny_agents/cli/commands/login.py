"""`tiny-agents login`: log in at a remote server, or at those of an agent; without either, what is kept."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.trust import TrustStore
from tiny_agents.cli.asking.asking import TerminalHost
from tiny_agents.cli.asking.consent import require_trust
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import Interrupts, leave_by_exception, undisturbed
from tiny_agents.cli.prompt.input_values import ask_for_input, given_values
from tiny_agents.cli.prompt.prompts import is_terminal
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import ServerError, UsageError
from tiny_agents.inference.settings import is_address
from tiny_agents.mcp_client.oauth.store import Kept, kept_logins, store_folder, without_query

REMOTE = ("http", "sse")


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents login`."""
    set_up_diagnostics(reporter)
    if arguments.target is None:
        return _show(reporter)
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise UsageError(
            "a login takes a person at a terminal; a program logs in with auth of the type client_credentials"
        )
    leave_by_exception()
    return asyncio.run(_log_in(_servers(arguments, reporter), reporter))


def _show(reporter: Reporter) -> int:
    screen = Screen(sys.stdout, sys.stdout)
    found = kept_logins()
    for kept in found:
        screen.line(one_line(_title(kept)), Style.BOLD)
        screen.line(f"  {one_line(_state(kept))}", Style.DIM if kept.login else Style.WARNING)
    if not found:
        reporter.notice(f"No login is kept in {store_folder()}.")
    return ExitCode.DONE


def _title(kept: Kept) -> str:
    if kept.login is None:
        return kept.path.name
    return kept.login.address + (f" ({kept.login.account})" if kept.login.account else "")


def _state(kept: Kept) -> str:
    login = kept.login
    if login is None:
        return f"counts as logged out: {kept.problem}"
    tokens = login.tokens
    if tokens is None:
        return f"not logged in; known at {login.issuer}"
    scopes = f", for {' '.join(tokens.scopes)}" if tokens.scopes else ""
    if tokens.refresh:
        return f"logged in at {login.issuer}{scopes}; renewed by itself"
    if tokens.expires_at is None:
        return f"logged in at {login.issuer}{scopes}"
    minutes = (tokens.expires_at - time.time()) / 60
    return f"logged in at {login.issuer}{scopes}, " + (f"for {minutes:.0f} more minutes" if minutes > 0 else "run out")


def _servers(arguments: Namespace, reporter: Reporter) -> list[dict[str, Any]]:
    """Arguments of `add_mcp_server` for what is to be logged in at."""
    target = str(arguments.target)
    if is_address(target):
        kind = "sse" if without_query(target).endswith("/sse") else "http"
        return [{"type": kind, "url": target, "auth": {"type": "oauth", "account": arguments.account}}]
    if arguments.account is not None:
        raise UsageError("--account is for a URL; an agent says it itself, with `account` of `auth`")
    definition = load_definition(target, allow_paths=arguments.allow_path)
    remote = tuple(server for server in definition.servers if server.type in REMOTE)
    if not remote:
        raise UsageError(f"{target}: none of its servers is a remote one, so there is nothing to log in at")
    if definition.downloaded:
        require_trust(definition, TrustStore.of_user(), can_ask=True, warn=reporter.warning)
    # Only what the remote servers need is asked for.
    definition = replace(
        definition, servers=remote, model=None, provider=None, endpoint_url=None, api_key=None, prompt=None
    )
    definition = resolve_inputs(
        definition, values=given_values(arguments.input), env=os.environ, ask=ask_for_input, warn=lambda _: None
    )
    reporter.secrets += definition.secrets
    return [server.as_kwargs() for server in definition.servers]


async def _log_in(servers: list[dict[str, Any]], reporter: Reporter) -> int:
    from tiny_agents.inference.async_client import AsyncInferenceClient
    from tiny_agents.mcp_client.client import MCPClient

    failed = False
    with Interrupts().leaving():
        client = MCPClient(client=AsyncInferenceClient(), host=TerminalHost(lambda: None))
        try:
            for server in servers:
                try:
                    await client.add_mcp_server(**server)
                except ServerError as error:
                    reporter.error(error)
                    failed = True
                else:
                    reporter.notice(_outcome(server, client))
        finally:
            await undisturbed(client.cleanup())
    return ExitCode.FAILED if failed else ExitCode.DONE


def _outcome(server: Mapping[str, Any], client: Any) -> str:
    *_, connection = client.connections.values()
    address = without_query(server["url"])
    is_kept = any(kept.login and kept.login.address == address for kept in kept_logins())
    how = "Logged in at" if is_kept else "No login is needed at"
    return f"{how} {one_line(address)}: {len(connection.tools)} tools."
