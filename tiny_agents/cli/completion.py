"""Completion for shells, made from the parser: the text of a script for each. Pure.

The script is static: pressing Tab starts no Python. It completes commands, actions, flags, the values that flags choose
from, names of bundled agents, and files everywhere else.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

AGENT_PLACES = frozenset({"agent", "target"})
"""Arguments that may be an agent's name."""


@dataclass(frozen=True, slots=True)
class Completed:
    """What can follow a command.

    Attributes:
        path: The command and its action, as they are typed.
        words: Commands or actions below it, and names of agents where one can stand.
        flags: With what each does.
        choices: Flag -> its values, where it has some to choose from.
        valued: Flags that take a value.
    """

    path: str
    words: Sequence[str]
    flags: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    valued: Sequence[str]


def completed(parser: argparse.ArgumentParser, agents: Sequence[str], path: str = "") -> Iterator[Completed]:
    """All commands below `parser`, itself first."""
    words: list[str] = []
    flags: dict[str, str] = {}
    choices: dict[str, Sequence[str]] = {}
    valued: list[str] = []
    below: list[tuple[str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
            below += action.choices.items()
        elif action.option_strings:
            flags.update(dict.fromkeys(action.option_strings, _short(action.help)))
            if action.nargs != 0:
                valued += action.option_strings
            if action.choices is not None:
                choices.update(dict.fromkeys(action.option_strings, tuple(map(str, action.choices))))
        elif action.choices is not None:
            words += map(str, action.choices)
        elif action.dest in AGENT_PLACES:
            words += agents
    yield Completed(path, words, flags, choices, valued)
    for name, command in below:
        yield from completed(command, agents, f"{path} {name}".strip())


def _short(help: str | None) -> str:
    """The start of a flag's help, without what a shell would read."""
    text = re.split(r"[;:.(]", (help or "").replace("%%", "%"), maxsplit=1)[0]
    return re.sub(r"[^A-Za-z0-9 ,/_'-]", "", text).replace("'", "").strip()


def bash(parser: argparse.ArgumentParser, agents: Sequence[str]) -> str:
    """For bash 3.2 and newer."""
    cases = []
    for each in completed(parser, agents):
        for flag, values in each.choices.items():
            cases.append(f'    "{each.path}:{flag}") words="{" ".join(values)}" ;;')
    plain = [
        f'    "{each.path}") words="{" ".join([*each.words, *each.flags])}" ;;' for each in completed(parser, agents)
    ]
    valued = [f'    "{each.path}:{flag}") takes=1 ;;' for each in completed(parser, agents) for flag in each.valued]
    paths = "|".join(f'"{each.path}"' for each in completed(parser, agents) if each.path)
    return f"""\
# bash completion for tiny-agents: eval "$(tiny-agents completion bash)"
_tiny_agents() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local path="" word words="" takes="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    case "${{path:+$path }}$word" in
    {paths}) path="${{path:+$path }}$word" ;;
    esac
  done
  COMPREPLY=()
  case "$path:$before" in
{chr(10).join(cases)}
  esac
  if [ -z "$words" ]; then
    case "$path:$before" in
{chr(10).join(valued)}
    esac
    if [ -z "$takes" ]; then
      case "$path" in
{chr(10).join(plain)}
      esac
    fi
  fi
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
  if [ ${{#COMPREPLY[@]}} -eq 0 ]; then
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
  fi
}}
complete -o filenames -F _tiny_agents tiny-agents
"""


def zsh(parser: argparse.ArgumentParser, agents: Sequence[str]) -> str:
    """For zsh: to be kept as a file `_tiny-agents` in `fpath`, or to be evaluated after `compinit`."""
    paths = "|".join(f'"{each.path}"' for each in completed(parser, agents) if each.path)
    valued = [
        f'    "{each.path}:{flag}") _files; return ;;'
        for each in completed(parser, agents)
        for flag in each.valued
        if flag not in each.choices
    ]
    cases = [
        f'    "{each.path}:{flag}") compadd -- {" ".join(values)}; return ;;'
        for each in completed(parser, agents)
        for flag, values in each.choices.items()
    ]
    plain = []
    for each in completed(parser, agents):
        flags = " ".join(f"'{flag}:{text or 'flag'}'" for flag, text in each.flags.items())
        words = f"compadd -- {' '.join(each.words)}; " if each.words else ""
        plain.append(f'    "{each.path}") {words}flags=({flags}) ;;')
    return f"""\
#compdef tiny-agents
# zsh completion for tiny-agents: tiny-agents completion zsh > "${{fpath[1]}}/_tiny-agents"
_tiny_agents() {{
  local route="" word i
  local -a flags
  for ((i = 2; i < CURRENT; i++)); do
    word="${{words[i]}}"
    case "${{route:+$route }}$word" in
    {paths}) route="${{route:+$route }}$word" ;;
    esac
  done
  case "$route:${{words[CURRENT-1]}}" in
{chr(10).join(cases)}
{chr(10).join(valued)}
  esac
  case "$route" in
{chr(10).join(plain)}
  esac
  [[ "${{words[CURRENT]}}" == -* ]] && _describe flag flags
  _files
}}
if [ "$funcstack[1]" = "_tiny-agents" ]; then
  _tiny_agents "$@"
else
  compdef _tiny_agents tiny-agents
fi
"""


def fish(parser: argparse.ArgumentParser, agents: Sequence[str]) -> str:
    """For fish 3 and newer."""
    lines = ["# fish completion for tiny-agents: tiny-agents completion fish | source"]
    for each in completed(parser, agents):
        steps = each.path.split()
        seen = "; and ".join(f"__fish_seen_subcommand_from {step}" for step in steps)
        where = f"-n '{seen}' " if steps else "-n __fish_use_subcommand "
        if each.words:
            lines.append(f"complete -c tiny-agents {where}-a '{' '.join(each.words)}'")
        for flag, text in each.flags.items():
            name = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
            value = ""
            if flag in each.choices:
                value = f" -x -a '{' '.join(each.choices[flag])}'"
            elif flag in each.valued:
                value = " -r"
            lines.append(f"complete -c tiny-agents {where}{name}{value} -d '{text}'")
    return "\n".join(lines) + "\n"


SHELLS: Mapping[str, Callable[[argparse.ArgumentParser, Sequence[str]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
