"""Writes docs/casts/*.cast and the screens of docs/gallery.md from the real program, or checks that they are fresh.

python scripts/record_casts.py
python scripts/record_casts.py --check
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gallery.md"
CASTS = ROOT / "docs" / "casts"
SCREENS = re.compile(r"(<!-- screens: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_screens(page: str, screens: Mapping[str, Sequence[str]]) -> str:
    """The page with these screens between its marks.

    Raises:
        KeyError: It has a mark for a recording that isn't there.
    """

    def between(found: re.Match[str]) -> str:
        blocks = [f"```text\n{screen}\n```\n" for screen in screens[found[2]]]
        return found[1] + "\n".join(blocks) + found[3]

    return SCREENS.sub(between, page)


def recorded() -> dict[Path, str]:
    """What the files should hold."""
    from tests.support.gallery import record

    with tempfile.TemporaryDirectory() as folder:
        casts = record(Path(folder))
    page = with_screens(PAGE.read_text(encoding="utf-8"), {cast.name: cast.kept for cast in casts})
    return {PAGE: page, **{CASTS / f"{cast.name}.cast": cast.text for cast in casts}}


def stale(wanted: Mapping[Path, str]) -> list[str]:
    """The files that hold something else, or shouldn't be there."""
    different = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return sorted(path.name for path in [*different, *(set(CASTS.glob("*.cast")) - set(wanted))])


def main() -> int:
    sys.path.insert(0, str(ROOT))
    wanted = recorded()
    if "--check" in sys.argv[1:]:
        old = stale(wanted)
        print(f"not fresh: {', '.join(old)}; run scripts/record_casts.py" if old else "fresh")
        return 1 if old else 0
    CASTS.mkdir(exist_ok=True)
    for path in set(CASTS.glob("*.cast")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
