"""The command lines of `tiny-agents models` and `completion`. Imports nothing but argparse."""

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
    completion = commands.add_parser(
        "completion",
        help="a script that completes commands in your shell",
        description="Print a script that completes commands, flags and agents in your shell.",
        epilog=COMPLETION_EXAMPLES,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
