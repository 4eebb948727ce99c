"""`tiny-agents logout`: end a login, here and where it came from."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.oauth.store import Kept, kept_logins, without_query


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents logout`."""
    set_up_diagnostics(reporter)
    kept = kept_logins()
    chosen = kept if arguments.all else [item for item in kept if _is_meant(item, arguments)]
    if not chosen:
        if arguments.all:
            reporter.notice("No login is kept.")
            return ExitCode.DONE
        listed = ", ".join(item.login.address for item in kept if item.login) or "none"
        raise UsageError(f"no login is kept for {arguments.target}; kept: {listed}")
    asyncio.run(_log_out(chosen, reporter))
    return ExitCode.DONE


def _is_meant(kept: Kept, arguments: Namespace) -> bool:
    if kept.login is None:
        return bool(arguments.target == kept.path.name)
    if arguments.account is not None and kept.login.account != arguments.account:
        return False
    try:
        return kept.login.address == without_query(arguments.target)
    except ValueError:  # no URL
        return False


async def _log_out(chosen: list[Kept], reporter: Reporter) -> None:
    from tiny_agents.mcp_client.oauth.sending import log_out

    for kept in chosen:
        name = kept.login.address if kept.login else kept.path.name
        problem = await log_out(kept)
        reporter.notice(f"Logged out at {one_line(name)}: {kept.path} is deleted.")
        if problem:
            reporter.warning(f"the tokens may go on working until they run out: {one_line(problem)}")
