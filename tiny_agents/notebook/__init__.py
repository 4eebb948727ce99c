"""Agents in a notebook: `await show(agent.run(...))`, and the cell magic `%%agent` after `%load_ext tiny_agents.notebook`.

What is shown is plain HTML without scripts: it looks the same when the saved notebook is opened again. IPython is imported
when something is shown.
"""

from __future__ import annotations

from tiny_agents.notebook.display import ShownResult, ShownText, show
from tiny_agents.notebook.magic import load_ipython_extension, unload_ipython_extension
from tiny_agents.notebook.transcript import Transcript

__all__ = ["ShownResult", "ShownText", "Transcript", "load_ipython_extension", "show", "unload_ipython_extension"]
