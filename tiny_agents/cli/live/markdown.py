"""Markdown -> lines for a terminal. Imports rich: only where somebody looks.

Nothing is hidden: HTML and link definitions are shown as text, links with their address, and lines break where they were
broken. Nothing is added that would be copied along: no frames, no padding.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown, TableElement
from rich.segment import Segment
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from tiny_agents.cli.live.area import Drawn
from tiny_agents.cli.live.blocks import Block, is_code
from tiny_agents.cli.screen.safe_text import neutralise

COLUMN_GAP = 2  # between the columns of a table
LEAST_WIDTH = 3
"""A table whose columns can't be that wide is shown as lines."""
_CODE_THEME = "ansi_dark"  # the sixteen colours that the terminal's own theme makes readable
_THEME = Theme(
    {
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.code": "cyan",
        "markdown.code_block": "none",
        "markdown.block_quote": "dim",
        "markdown.link": "underline",
        "markdown.link_url": "dim",
        "markdown.item.bullet": "cyan",
        "markdown.item.number": "cyan",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


class _Heading(Heading):
    """At the left; with its # signs where there is no bold to show that it is one."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        yield Text("#" * int(self.tag[1]) + " ") + text if console.no_color else text


class _Code(CodeBlock):
    """Between its fences as it was written, a line as long as it is."""

    opening = ""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> CodeBlock:
        block = super().create(markdown, token)
        if isinstance(block, _Code) and token.type == "fence":
            block.opening = f"{token.markup}{token.info}"
        return block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip("\n")
        if self.opening:
            yield Text(self.opening, style="dim")
        if code:
            highlighter = Syntax(code, self.lexer_name, theme=_CODE_THEME, background_color="default")
            text = Text(code) if console.no_color else highlighter.highlight(code)
            text.rstrip()
            yield text
        if self.opening:
            yield Text("`" * 3 if self.opening.startswith("`") else "~" * 3, style="dim")


class _Item(ListItem):
    """With the point behind its number."""

    def render_number(self, console: Console, options: ConsoleOptions, number: int, last_number: int) -> RenderResult:
        width = len(str(last_number)) + 2
        style = console.get_style("markdown.item.number")
        lines = console.render_lines(self.elements, options.update(width=max(options.max_width - width, 1)))
        for index, line in enumerate(lines):
            yield Segment(f"{number}. ".rjust(width) if index == 0 else " " * width, style)
            yield from line
            yield Segment("\n")


@dataclass(slots=True)
class _TableForm:
    """How a table is laid out, so that one that is shown in parts looks like one.

    Attributes:
        widths: Of its columns in the part before, then in this one; None if there was none.
        headless: Its head was shown with an earlier part.
    """

    widths: Sequence[int] | None = None
    headless: bool = False


class _Table(TableElement):
    """With columns as wide as their widest cell, and no narrower than in the part before."""

    def __init__(self, form: _TableForm) -> None:
        super().__init__()
        self._form = form

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _Table:
        return cls(markdown.form if isinstance(markdown, _Markdown) else _TableForm())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.header is None or self.header.row is None:
            return
        head = [cell.content for cell in self.header.row.cells]
        rows = [[cell.content for cell in row.cells] for row in (self.body.rows if self.body is not None else ())]
        form = self._form
        room = options.max_width - COLUMN_GAP * (len(head) - 1) - 2
        if room < LEAST_WIDTH * len(head):
            yield from (Text(" | ").join(row) for row in ([] if form.headless else [head]) + rows)
            return
        natural = [max(text.cell_len for text in column) for column in zip(head, *rows, strict=False)]
        before = form.widths if form.widths is not None and len(form.widths) == len(head) else natural
        form.widths = narrowed([max(pair) for pair in zip(before, natural, strict=True)], room)
        table = Table(
            box=box.SIMPLE,
            pad_edge=False,
            style="markdown.table.border",
            collapse_padding=True,
            show_header=not form.headless,
        )
        for text, width in zip(head, form.widths, strict=True):
            heading = text.copy()
            heading.stylize("markdown.table.header")
            table.add_column(heading, width=width, overflow="fold")
        for row in rows:
            table.add_row(*row)
        yield table


def narrowed(widths: Sequence[int], room: int) -> list[int]:
    """Widths of columns that fit in `room` together: the widest give way, none below 1."""
    found = [max(width, 1) for width in widths]
    while sum(found) > room and (widest := max(found)) > 1:
        second = max((width for width in found if width < widest), default=1)
        of_widest = [index for index, width in enumerate(found) if width == widest]
        too_much = min(sum(found) - room, (widest - second) * len(of_widest))
        each, more = divmod(too_much, len(of_widest))
        for place, index in enumerate(of_widest):
            found[index] -= each + (place < more)
    return found


class _Markdown(Markdown):
    elements = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "list_item_open": _Item,
        "table_open": _Table,
    }

    def __init__(self, source: str, *, colour: bool, form: _TableForm) -> None:
        super().__init__("", code_theme=_CODE_THEME, hyperlinks=False)
        self.form = form
        self.parsed = _PARSER.parse(source)
        for token in self.parsed:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"  # as it was written
                elif child.type == "image":
                    child.type, child.content = "text", f"[{child.content or 'image'}] ({child.attrs.get('src', '')})"
                elif child.type == "code_inline" and not colour:
                    child.content = f"{child.markup}{child.content}{child.markup}"


_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("reference")


class MarkdownLines:
    """Renders blocks.

    Args:
        colour: Whether styles are wanted.
    """

    def __init__(self, *, colour: bool) -> None:
        self._console = Console(
            file=io.StringIO(),
            force_terminal=True,
            color_system="standard" if colour else None,
            no_color=not colour,
            theme=_THEME,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )
        self._colour = colour
        self._widths: dict[int, Sequence[int]] = {}  # columns of the terminal -> those of the table that goes on
        self._wanted: tuple[Block, int, bool] | None = None  # what is in `_lines`: the last block is asked for again
        self._lines: list[Drawn] = []

    def lines(self, block: Block, columns: int, *, wrap_code: bool = False) -> list[Drawn]:
        """A block in lines of at most `columns` columns; but code is only broken into several with `wrap_code`."""
        wanted = (block, columns, wrap_code)
        if wanted != self._wanted:
            self._lines = self._rendered(block, columns, wrap_code=wrap_code)
            self._wanted = wanted
        return list(self._lines)

    def _rendered(self, block: Block, columns: int, *, wrap_code: bool) -> list[Drawn]:
        source = neutralise(block.source).expandtabs(4)
        code = is_code(block)
        if code and not wrap_code:
            columns = max(columns, *(len(line) * 2 for line in source.splitlines()))
        options = self._console.options.update(width=columns)
        form = _TableForm(self._widths.get(columns) if block.opened else None, headless=block.opened)
        markdown = _Markdown(source, colour=self._colour, form=form)
        lines = [self._drawn(segments) for segments in self._console.render_lines(markdown, options, pad=False)]
        if block.unclosed and form.widths is not None:
            self._widths = {columns: form.widths}
        while lines and not lines[-1].strip():
            lines.pop()
        while lines and not lines[0].strip():
            lines.pop(0)
        if not code:
            return lines
        return lines[1 if block.opened else 0 : -1 if block.unclosed else None]

    def _drawn(self, segments: Iterable[Segment]) -> Drawn:
        """Text becomes something for a terminal here only. Entities were decoded, so it is made safe again."""
        line = "".join(self._styled(neutralise(part.text), part.style) for part in segments if not part.control)
        return Drawn(line.rstrip(" "))

    def _styled(self, text: str, style: Any) -> str:
        if not self._colour or not style or not text.strip():
            return text
        return str(style.update_link(None).render(text, color_system=self._console._color_system))
