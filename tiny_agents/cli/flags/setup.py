"""The command lines of `tiny-agents models`, `config` and `completion`. Imports nothing but argparse."""

from __future__ import annotations

from typing import Any

MODELS_EXAMPLES = """\
examples:
  tiny-agents models                    which weights are here, and where
  tiny-agents models pull               fetch the default model now
  tiny-agents models pull owner/repo:file.gguf
  tiny-agents models rm SmolLM2-135M-Instruct

They are what `--provider local` runs; any GGUF file can be given as --model.
"""
CONFIG_EXAMPLES = """\
examples:
  tiny-agents config                       what is set, and what could be
  tiny-agents config set base_url http://localhost:11434/v1
  tiny-agents config set model qwen3
  tiny-agents config set api_key_env MY_KEY
  tiny-agents config unset model

A default holds where nobody says otherwise: first come flags, then the
environment, then the agent's definition. Keys and tokens are never kept there.
"""
COMPLETION_EXAMPLES = """\
examples:
  eval "$(tiny-agents completion bash)"          in ~/.bashrc
  tiny-agents completion zsh > "${fpath[1]}/_tiny-agents"
  tiny-agents completion fish > ~/.config/fish/completions/tiny-agents.fish

Make it anew after an update: it holds the commands of this version.
"""


def add_setup(commands: Any) -> None:
    """Add the commands `models` and `completion`."""
    models = commands.add_parser(
        "models",
        help="weights of the embedded model: list, fetch, delete",
        description="Weights of the embedded model on this machine: list, fetch and delete them.",
        epilog=MODELS_EXAMPLES,
    )
    models.set_defaults(action=None, json=False)
    actions = models.add_subparsers(metavar="ACTION", title="actions (list, if none is given)")
    shown = actions.add_parser("list", help="show them", description="Show which there are, how large, and where.")
    shown.add_argument("--json", action="store_true", help="as JSON")
    pull = actions.add_parser("pull", help="fetch one", description="Fetch one, unless it is here already.")
    pull.add_argument(
        "model", metavar="MODEL", nargs="?", help="owner/repo:file.gguf on the Hub; by default the small one"
    )
    remove = actions.add_parser("rm", help="delete one", description="Delete one from this machine.")
    remove.add_argument("model", metavar="MODEL", help="as the list shows it, or its path")
    for name, action in (("list", shown), ("pull", pull), ("rm", remove)):
        action.set_defaults(action=name)
    _add_config(commands)
    completion = commands.add_parser(
        "completion",
        help="a script that completes commands in your shell",
        description="Print a script that completes commands, flags and agents in your shell.",
        epilog=COMPLETION_EXAMPLES,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def _add_config(commands: Any) -> None:
    config = commands.add_parser(
        "config",
        help="your defaults: which model, permissions, sessions",
        description="Your defaults, in a file: which model, permissions, sessions.",
        epilog=CONFIG_EXAMPLES,
    )
    config.set_defaults(action=None, json=False)
    actions = config.add_subparsers(metavar="ACTION", title="actions (show, if none is given)")
    shown = actions.add_parser("show", help="what is set", description="Show what is set, and what could be.")
    shown.add_argument("--json", action="store_true", help="what is set, as JSON")
    path = actions.add_parser("path", help="where the file is", description="Print where the file is.")
    change = actions.add_parser("set", help="set a default", description="Set a default.")
    change.add_argument("key", metavar="KEY", help="as `config show` names it")
    change.add_argument("value", metavar="VALUE", help="its value")
    remove = actions.add_parser("unset", help="remove a default", description="Remove a default.")
    remove.add_argument("key", metavar="KEY", help="as `config show` names it")
    for name, action in (("show", shown), ("path", path), ("set", change), ("unset", remove)):
        action.set_defaults(action=name)
