"""What a turn looks like on a terminal that can redraw: events become lines, and lines become what is written."""

import base64
import io
import re
import stat
import sys

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.cli.live import sixel
from tiny_agents.cli.live.area import Drawn, drawn, erased, frame, rows_of, width
from tiny_agents.cli.live.blocks import FENCE_LINES, LONGEST, Block, BlockReader
from tiny_agents.cli.live.images import ShownImage, images_of, inline, show_images
from tiny_agents.cli.live.markdown import MarkdownLines, narrowed
from tiny_agents.cli.live.screen import LiveScreen
from tiny_agents.cli.live.shelf import Shelf
from tiny_agents.cli.live.turn_lines import BLOCK_WORK, FRAME_WORK, TurnLines
from tiny_agents.cli.screen.events import Text, Thought, ToolCall, ToolResult
from tiny_agents.mcp_client import events as happening
from tiny_agents.mcp_client.results.results import ToolResult as Result

MARKDOWN = """# Title

A *paragraph*
of two lines.

1. one

2. two

   - nested

| a | b |
|---|---|
| 1 | 2 |

```python
x = 1

y = 2
```
The end.
"""


def blocks(text, size=1):
    reader, found = BlockReader(), []
    for start in range(0, len(text), size):
        reader.feed(text[start : start + size])
        found += iter(reader.take, None)
    return [*found, *reader.end()]


def as_lines(text, columns=79, colour=False):
    markdown = MarkdownLines(colour=colour)
    return [line for block in blocks(text) for line in markdown.lines(block, columns)]


# ---- blocks


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_blocks_do_not_depend_on_where_the_text_was_cut(size):
    sources = [block.source.strip() for block in blocks(MARKDOWN, size)]
    assert sources == [
        "# Title",
        "A *paragraph*\nof two lines.",
        "1. one",
        "2. two\n\n   - nested",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "```python\nx = 1\n\ny = 2\n```",
        "The end.",
    ]


@given(st.text(alphabet="a`~#\n -|1.", max_size=80), st.integers(1, 9))
def test_no_text_is_lost_between_blocks(text, size):
    assert "".join(block.source for block in blocks(text, size)).split() == text.split()


def test_a_long_listing_is_finished_in_parts_that_show_as_one():
    code = "\n".join(f"line_{number} = {number}" for number in range(FENCE_LINES * 2 + 5))
    text = f"```python\n{code}\n```\n"
    assert len(blocks(text)) == 3
    assert as_lines(text) == ["```python", *code.split("\n"), "```"]


def test_a_paragraph_without_end_is_cut_behind_a_word():
    first, *rest = blocks("word " * LONGEST)
    assert len(first.source) <= LONGEST
    assert first.source.endswith(" ")
    assert all(block.follows for block in rest)


ROWS = [
    f"| item {n} | {n * n} | words about {n}, and more of them than fit in a line of that width |" for n in range(200)
]
TABLE = "\n".join(["| name | square | what |", "|---|--:|---|", *ROWS, "", "After it."])
LISTS = "\n".join(f"{n}. point {n} of some\n     - and one below it" for n in range(200))
QUOTE = "\n".join(f"> line {n} of what somebody said" for n in range(200))


@pytest.mark.parametrize("text", [TABLE, LISTS, QUOTE, "word " * 5000, "x" * 20_000, "a\n" * 5000])
def test_long_blocks_are_cut_at_the_same_places_however_they_come(text):
    whole = blocks(text, len(text))
    assert len(whole) > 1
    assert all(len(block.source) <= LONGEST + 100 for block in whole)
    for size in (7, 999, 4096):
        assert blocks(text, size) == whole


def test_a_long_table_is_finished_in_parts_that_show_as_one():
    table = as_lines(TABLE, 60)
    assert len(blocks(TABLE)) > 3
    assert [row for row in table if "name" in row and "square" in row] == [table[0]]
    places = [row.index("words") for row in table if "item" in row]
    assert places[0] == table[0].index("what")
    assert set(places) <= {places[0], places[0] + 1, places[0] + 2}  # as the numbers grow
    assert [int(found[1]) for row in table if (found := re.match(r" item (\d+)", row))] == list(range(200))
    assert table[-1] == "After it."


def test_a_long_list_is_finished_in_parts_that_show_as_one():
    lines = as_lines(LISTS)
    assert len(blocks(LISTS)) > 3
    assert [line.strip() for line in lines[::2]] == [f"{n}. point {n} of some" for n in range(200)]
    assert {line.strip() for line in lines[1::2]} == {"• and one below it"}


def test_nothing_of_a_narrow_table_is_hidden():
    address = "https://example.org/a/rather/long/address"
    narrow = as_lines(f"| a | b |\n|---|---|\n| {address} | {'y' * 30} |", 30)
    assert max(map(len, narrow)) <= 30
    shown = "".join("".join(line.split()) for line in narrow)
    assert sum(map(shown.count, "/yrl")) >= sum(map((address + "y" * 30).count, "/yrl"))
    heads = [f"head{n}" for n in range(12)]
    tiny = as_lines(f"|{'|'.join(heads)}|\n|{'---|' * 12}\n|{'|'.join(heads)}|", 30)
    assert " ".join(tiny).split() == (" | ".join(heads) + " " + " | ".join(heads)).split()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.integers(1, 100))
def test_columns_are_narrowed_from_the_widest_and_no_more_than_needed(widths, room):
    found = narrowed(widths, room)
    assert all(1 <= new <= max(old, 1) for new, old in zip(found, widths, strict=True))
    assert sum(found) == max(min(sum(max(width, 1) for width in widths), room), len(widths))
    given_way = [new for new, old in zip(found, widths, strict=True) if new < old]
    assert not given_way or max(found) <= min(given_way) + 1


# ---- Markdown


def test_markdown_is_laid_out_and_wraps_between_words():
    assert as_lines("Some *text* that is **bold** and `code`.", 20) == ["Some text that is", "bold and `code`."]
    assert as_lines("# Title") == ["# Title"]
    assert as_lines("# Title", colour=True) == ["\x1b[1;4mTitle\x1b[0m"]
    assert as_lines("3. three\n4. four") == ["3. three", "4. four"]
    assert as_lines("one\ntwo") == ["one", "two"]


def test_nothing_a_model_writes_is_hidden():
    assert as_lines("[here](https://evil.example) <b>x</b> List<String>") == [
        "here (https://evil.example) <b>x</b> List<String>"
    ]
    assert as_lines("![a](https://pixel.example/x.png)") == ["[a] (https://pixel.example/x.png)"]
    assert as_lines("[x]: https://hidden.example") == ["[x]: https://hidden.example"]


def test_code_keeps_its_long_lines_and_gains_nothing_that_would_be_copied():
    line = "x = '" + "long " * 40 + "'"
    assert as_lines(f"```python\n    {line}\n\n```") == ["```python", f"    {line}", "```"]


EVIL = (
    "\x1b]0;owned\x07 \x1b[2J &#x202E;x &#27;[2J \x9b2J `\x1b[2J` [a\x1b](https://x/\x1b[2J)\n\n```\x1b\n\x1b[2J\n```\n"
)


@pytest.mark.parametrize("colour", [False, True])
def test_markdown_can_not_steer_the_terminal(colour):
    screen = pyte.Screen(80, 24)
    stream = pyte.Stream(screen)
    stream.feed("first\r\n" + "\r\n".join(as_lines(EVIL, colour=colour)))
    assert screen.title == ""
    assert screen.display[0].rstrip() == "first"
    assert "\u202e" not in "".join(as_lines(EVIL, colour=colour))
    assert "\x1b]" not in "".join(as_lines(EVIL, colour=colour))


# ---- the area that is redrawn


@given(st.lists(st.lists(st.sampled_from(["", "a", "bb", "ccc"]), max_size=4), max_size=8))
def test_after_each_frame_the_rows_show_its_lines(frames):
    screen = pyte.Screen(20, 10)
    stream = pyte.Stream(screen)
    stream.feed("above\r\n")
    before: list[Drawn] = []
    for lines in frames:
        now = [Drawn(line) for line in lines]
        if not now and before:
            stream.feed(erased(len(before)))
        else:
            stream.feed(frame(before, now).replace("\n", "\r\n"))
        shown = "\n".join(row.rstrip() for row in screen.display).rstrip()
        assert shown == "\n".join(["above", *lines]).rstrip()
        before = now


def test_a_frame_touches_only_what_differs():
    first, second = Drawn("stays"), Drawn("old")
    assert frame([first, second], [first, second]) == ""
    written = frame([first, second], [first, Drawn("new")])
    assert "stays" not in written
    assert "new" in written


def test_rows_are_counted_as_a_narrower_terminal_wraps_them():
    line = drawn("x" * 30)
    assert width(Drawn("\x1b[2mab\x1b[0m日")) == 4
    assert rows_of([line, drawn("")], 20) == 3


class Tty(io.StringIO):
    def isatty(self):
        return True


def test_what_else_is_written_comes_above_the_redrawn_rows_and_nothing_while_somebody_types(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Tty()
    screen = LiveScreen(terminal, terminal, env={"TERM": "xterm", "NO_COLOR": "1"})
    shown = pyte.Screen(40, 10)
    stream = pyte.Stream(shown)

    def rows():
        stream.feed(terminal.getvalue().replace("\n", "\r\n"))
        terminal.seek(0)
        terminal.truncate()
        return [row.rstrip() for row in shown.display if row.strip()]

    screen.redraw([drawn("stays")], [drawn("spinner")])
    assert rows() == ["stays", "spinner"]
    screen.line("a warning")
    assert rows() == ["stays", "a warning"]
    screen.redraw([], [drawn("spinner")])
    screen.fresh_line()
    with screen.holding_back():
        screen.redraw([drawn("held")], [drawn("spinner")])
        assert rows() == ["stays", "a warning"]
    assert rows() == ["stays", "a warning", "held"]
    screen.redraw([drawn("end")], [])
    assert rows() == ["stays", "a warning", "held", "end"]


def test_a_terminal_that_cuts_its_lines_loses_none_above_the_redrawn_rows(monkeypatch):
    shown = pyte.Screen(60, 10)
    stream = pyte.Stream(shown)
    for env, stays in (({"XTERM_VERSION": "XTerm(390)"}, ["one", "two", "new"]), ({}, ["one", "new"])):
        shown.reset()
        shown.resize(10, 60)
        monkeypatch.setenv("COLUMNS", "60")
        terminal = Tty()
        screen = LiveScreen(terminal, terminal, env={"TERM": "xterm-256color", "NO_COLOR": "1", **env})
        screen.redraw([drawn("one"), drawn("two")], [drawn("x" * 50), drawn("status")])
        stream.feed(terminal.getvalue().replace("\n", "\r\n"))
        shown.resize(10, 25)  # pyte cuts, too: where that isn't known, a row is taken for one that was wrapped
        monkeypatch.setenv("COLUMNS", "25")
        terminal.seek(0)
        terminal.truncate()
        screen.redraw([drawn("new")], [])
        stream.feed(terminal.getvalue().replace("\n", "\r\n"))
        assert [row.rstrip() for row in shown.display if row.strip()] == stays


# ---- turns

CALL = ToolCall("1", "now", '{"zone": "Asia/Tokyo"}')


class Turn:
    """A turn whose clock stands at `now`."""

    def __init__(self, **options):
        self.shelf = Shelf()
        self.now = 0.0
        self.stable = []
        whose = {"now": ("time", "now")}.get
        self.lines = TurnLines(colour=False, shelf=self.shelf, began=0.0, whose=whose, **options)

    def feed(self, *events):
        for event in events:
            self.lines.feed(event, self.now)
        return self

    def live(self, columns=60, rows=20):
        stable, live = self.lines.take(self.now, columns, rows)
        self.stable += stable
        assert len(live) <= rows
        return live

    def end(self):
        return self.stable + self.lines.rest(self.now, 60)


def test_finished_blocks_stay_and_only_the_last_is_redrawn():
    turn = Turn(status=lambda: "m").feed(Text("One *two*.\n\nThree **fo"))
    assert turn.live() == ["", "Three **fo", "⠋ 0.0 s · m · Ctrl+C stops"]
    assert turn.stable == ["One two."]
    assert turn.feed(Text("ur**.")).live()[:-1] == ["", "Three four."]
    assert turn.end() == ["One two.", "", "Three four."]


def test_a_block_higher_than_the_screen_scrolls_away_once():
    turn = Turn()
    for number in range(40):
        turn.feed(Text(f"- item {number}\n"))
        assert len(turn.live(rows=8)) <= 8
    assert turn.end() == [f" • item {number}" for number in range(40)]


def test_a_frame_lays_out_a_bounded_part_of_what_came_and_the_next_ones_the_rest(monkeypatch):
    laid_out = []
    rendered = MarkdownLines._rendered

    def counting(self, block, *arguments, **options):
        laid_out.append(len(block.source))
        return rendered(self, block, *arguments, **options)

    monkeypatch.setattr(MarkdownLines, "_rendered", counting)
    turn = Turn().feed(Text(f"{TABLE}\n\n" * 5), CALL)
    frames = 0
    while not frames or turn.lines.is_behind:
        laid_out.clear()
        turn.live(rows=8)
        assert sum(laid_out) < FRAME_WORK + LONGEST
        assert len(laid_out) <= FRAME_WORK / BLOCK_WORK
        frames += 1
    assert frames > 10
    lines = turn.end()
    assert len([line for line in lines if line.startswith(" item 199 ")]) == 5
    assert lines[-2] == '▸ time.now {"zone": "Asia/Tokyo"}'


def test_what_a_frame_before_had_laid_out_is_not_laid_out_again(monkeypatch):
    turn = Turn().feed(Text("One *two"))
    turn.live()
    monkeypatch.setattr(MarkdownLines, "_rendered", None)
    assert turn.live()[0] == "One *two"


def test_at_the_end_more_than_a_frame_can_lay_out_is_counted():
    turn = Turn().feed(Text("word " * 20_000), CALL)
    lines = turn.end()
    assert len(lines) < 200
    (left_out,) = [line for line in lines if line.startswith("…")]
    shown = sum(line.count("word") * 5 for line in lines)
    assert left_out == f"… {100_000 - shown:,} more characters that came aren't shown."
    assert lines[-2] == '▸ time.now {"zone": "Asia/Tokyo"}'


@pytest.mark.parametrize("widths", [(30, 60), (60, 30), (30, 60, 20, 59)])
def test_no_text_is_lost_where_the_terminal_changes_its_width_meanwhile(widths):
    turn = Turn()
    words = [f"word{n}" for n in range(200)]
    for part, columns in enumerate(widths):
        start, end = part * 200 // len(widths), (part + 1) * 200 // len(widths)
        turn.feed(Text("".join(f"{word} " for word in words[start:end])))
        turn.live(columns=columns, rows=6)
    shown = "\n".join(turn.end()).split()
    assert list(dict.fromkeys(shown)) == words
    assert len(shown) <= len(words) + 10 * len(widths)  # at most a line is there again


def test_a_call_is_one_block_from_its_start_to_its_result():
    turn = Turn().feed(Text("Let me look."), CALL)
    turn.now = 2.5
    turn.feed(happening.ToolProgress("time", "now", 3, 10, "asking\x1b"))
    running = ['▸ time.now {"zone": "Asia/Tokyo"}', "  ⠴ 2.5 s · 3 of 10 · asking␛"]
    assert turn.live()[:-1] == running
    assert turn.stable == ["Let me look."]
    turn.feed(ToolResult("now", "12:00", of_several=False), Text("Noon."))
    assert turn.end() == ["Let me look.", running[0], "  12:00", "  2.5 s", "Noon."]


def test_a_long_result_is_cut_with_its_size_and_how_to_see_it_all():
    whole = "\n".join(f"line {number}" for number in range(100))
    told = ToolResult("now", whole[:400] + " (cut)", of_several=False)
    answered = happening.ToolAnswered("1", "time", "now", Result(whole[:400], whole=whole))
    lines = Turn().feed(CALL, answered, told)
    *_, last = lines.end()
    assert last == "  … 733 more characters of 789: /show 1"
    assert lines.shelf.results[1].text == whole


@pytest.mark.parametrize(
    "events",
    [
        [ToolResult("now", "Error: no", of_several=False)],
        [
            happening.ToolAnswered("1", "time", "now", Result("no", is_error=True)),
            ToolResult("now", "Error: no", of_several=False),
        ],
    ],
)
def test_a_failure_is_marked(events):
    assert Turn().feed(CALL, *events).end() == ['✗ time.now {"zone": "Asia/Tokyo"}', "  Error: no"]


def test_results_stay_in_the_order_of_the_calls_and_what_runs_is_below():
    calls = [ToolCall(str(number), f"t{number}", "{}") for number in range(3)]
    turn = Turn().feed(*calls, ToolResult("t0", "zero", of_several=True))
    assert turn.live()[:-1] == ["▸ t1 {}", "  ⠋ 0.0 s", "▸ t2 {}", "  ⠋ 0.0 s"]
    assert turn.stable == ["▸ t0 {}", "  zero"]
    turn.now = 1.0
    assert turn.end()[2:] == ["▸ t1 {}", "  interrupted after 1.0 s", "▸ t2 {}", "  interrupted after 1.0 s"]


def test_more_calls_than_the_screen_has_rows_are_counted():
    turn = Turn().feed(*(ToolCall(str(number), f"t{number}", "{}") for number in range(50)))
    assert turn.live(rows=10)[-2] == "… and 46 more calls"


def test_thoughts_are_folded_and_kept_or_shown_whole():
    turn = Turn().feed(Thought("first line\nsecond "), Thought("line"))
    assert turn.live()[:-1] == ["  first line", "  second line"]
    turn.now = 2.0
    turn.feed(Text("So."))
    assert turn.end() == ["Thought for 2.0 s (22 characters: /reasoning)", "So."]
    assert turn.shelf.thoughts == ["first line\nsecond line"]
    whole = Turn(unfolded=True).feed(Thought("first line\nsecond "), Thought("line"), Text("So."))
    assert whole.end() == ["first line", "second line", "So."]


def test_the_loops_own_tools_are_not_shown():
    done = ToolCall("2", "task_complete", "{}")
    turn = Turn(hidden={"task_complete"}).feed(Text("Bye."), done, ToolResult("task_complete", "", of_several=False))
    assert turn.end() == ["Bye."]


def test_nothing_of_a_turn_can_steer_the_terminal():
    evil = "\x1b[2J\x1b]0;owned\x07\r"
    turn = Turn(status=lambda: evil).feed(Thought(evil), Text(evil), ToolCall("1", evil, evil))
    turn.feed(happening.ToolProgress("time", "now", 1, None, evil))
    written = "".join(turn.live())
    written += "".join(turn.feed(ToolResult(evil, evil, of_several=False)).end())
    assert not set(written) & {"\x1b", "\x07", "\r"}


def test_a_block_of_nothing_is_nothing():
    assert MarkdownLines(colour=False).lines(Block("\n\n"), 60) == []
    assert Turn().end() == []


# ---- images

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (900).to_bytes(4, "big") + b"\0" * 5000
PICTURE = {"type": "image", "mimeType": "image/png", "data": base64.b64encode(PNG).decode()}


def test_images_are_shown_in_the_way_of_the_terminal():
    iterm = inline(PNG, {"TERM_PROGRAM": "iTerm.app"})
    assert iterm == f"\x1b]1337;File=inline=1;size={len(PNG)}:{base64.b64encode(PNG).decode()}\x07"
    kitty = inline(PNG, {"TERM": "xterm-kitty"})
    chunks = re.findall("\x1b_G(.*?);(.*?)\x1b\\\\", kitty)
    assert [settings for settings, _ in chunks] == ["a=T,f=100,q=2,c=60,m=1", "m=0"]
    assert base64.b64decode("".join(data for _, data in chunks)) == PNG
    assert inline(PNG, {"TERM": "xterm-kitty", "TMUX": "1"}) is None
    assert inline(PNG, {"TERM": "xterm-256color"}) is None


def drawn_by_a_terminal(sixels):
    """Rows of colours (in hundredths), as the manual of the VT340 says that they are drawn."""
    assert sixels.startswith("\x1bP")
    assert sixels.endswith("\x1b\\")
    width, height, rest = re.fullmatch(r'\x1bP[\d;]*q"1;1;(\d+);(\d+)(.*)\x1b\\', sixels, re.DOTALL).groups()
    rows = [[None] * int(width) for _ in range(int(height))]
    palette, colour, x, band = {}, None, 0, 0
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|(.)", rest):
        number, red, green, blue, chosen, times, repeated, one = token.groups()
        if number:
            palette[number] = (int(red), int(green), int(blue))
        elif chosen:
            colour = palette[chosen]
        elif one == "$":
            x = 0
        elif one == "-":
            x, band = 0, band + 6
        else:
            bits = ord(repeated or one) - 63
            assert 0 <= bits < 64
            count = int(times or 1)
            for bit in range(6):
                if bits >> bit & 1:
                    rows[band + bit][x : x + count] = [colour] * count
            x += count
    return rows


@given(st.integers(1, 20), st.integers(1, 14), st.randoms(use_true_random=False))
def test_sixels_draw_the_pixels_they_were_made_of(width, height, random):
    palette = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 102, 51)]
    pixels = bytes(random.choice([0, 0, 0, 1, 2, 3]) for _ in range(width * height))
    hundredths = [tuple(part * 100 // 255 for part in colour) for colour in palette]
    rows = drawn_by_a_terminal(sixel.encode(width, pixels, palette))
    assert rows == [[hundredths[p] for p in pixels[row * width : (row + 1) * width]] for row in range(height)]


def test_a_terminal_that_knows_sixels_gets_images_of_each_kind_made_smaller():
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGBA", (960, 100), (255, 0, 0, 255))
    picture.paste((0, 0, 255, 255), (480, 0, 960, 100))
    for kind in ("PNG", "GIF", "WEBP"):
        data = io.BytesIO()
        picture.save(data, kind, **({"lossless": True} if kind == "WEBP" else {}))
        rows = drawn_by_a_terminal(inline(data.getvalue(), {"TERM": "foot"}))
        assert (len(rows[0]), len(rows)) == (480, 50)
        assert (rows[25][10], rows[25][470]) == ((100, 0, 0), (0, 0, 100))
    assert inline(PNG, {"TERM": "foot"}) is None  # it only begins as an image does
    assert inline(PNG, {"TERM": "foot", "TMUX": "1"}) is None


@pytest.mark.parametrize(
    ("env", "begins"),
    [
        ({"TERM": "mlterm"}, "\x1bP"),
        ({"TERM_PROGRAM": "mintty"}, "\x1bP"),
        ({"KONSOLE_VERSION": "230800"}, "\x1bP"),
        ({"KONSOLE_VERSION": "210800"}, None),
        ({"TERM": "xterm", "TINY_AGENTS_IMAGES": "Sixel"}, "\x1bP"),
        ({"TERM": "xterm", "TINY_AGENTS_IMAGES": "kitty"}, "\x1b_G"),
        ({"TERM_PROGRAM": "iTerm.app", "TINY_AGENTS_IMAGES": "off"}, None),
    ],
)
def test_how_images_are_shown_follows_the_terminal_or_the_user(env, begins):
    image = pytest.importorskip("PIL.Image")
    data = io.BytesIO()
    image.new("RGB", (5, 5)).save(data, "PNG")
    shown = inline(data.getvalue(), env)
    assert (shown is None) if begins is None else shown.startswith(begins)


def test_nothing_is_cleared_behind_sixels():
    image = Drawn(sixel.encode(1, b"\0", [(0, 0, 0)]))
    assert frame([], [image, Drawn("x")]) == f"\x1b[K{image}\nx\x1b[K"


def test_elsewhere_an_image_is_saved_for_the_user_alone(tmp_path):
    env = {"TINY_AGENTS_DATA": str(tmp_path), "TERM": "xterm"}
    (shown,) = show_images(Result("", content=(PICTURE,)), env)
    (saved,) = (tmp_path / "images").iterdir()
    assert shown.note == f"image: {saved}"
    assert saved.read_bytes() == PNG
    if sys.platform != "win32":
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.parametrize("data", ["\x1b\\\x1b[2J", "not base64!", base64.b64encode(b"no image").decode(), ""])
def test_what_only_claims_to_be_an_image_is_left_to_the_text(data):
    assert list(images_of(Result("", content=({**PICTURE, "data": data},)))) == []


def test_a_call_says_where_its_image_is():
    turn = Turn(images=lambda result: [ShownImage(note="image: /here/a.png")]).feed(CALL)
    answered = happening.ToolAnswered("1", "time", "now", Result("[image]", content=(PICTURE,)))
    turn.feed(answered, ToolResult("now", "[image]", of_several=False))
    assert turn.end()[-1] == "  image: /here/a.png"
