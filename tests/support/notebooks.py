"""The cells of a page of the documentation, executed by a real kernel as a notebook is: with nbclient, and saved."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

DOCS = Path(__file__).parent.parent.parent / "docs"
ENDPOINT = "http://localhost:8080/v1"
WITHIN_S = 60


@contextmanager
def kernels_place() -> Iterator[dict[str, str]]:
    """Options for the manager of a kernel that is spoken to in a folder of its own.

    Ports are looked for before the kernel takes them, and meanwhile somebody else may.
    """
    if sys.platform == "win32":
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket must be short
        yield {"transport": "ipc", "ip": f"{folder}/kernel"}


def executed(page: str, folder: Path, url: str, *more: str) -> Any:
    """The notebook of a page's Python blocks, and of `more` before its last, after its execution.

    Args:
        page: Its file name in docs/.
        folder: Where the kernel runs, and where it is saved as `PAGE.ipynb`.
        url: The model that answers, in place of the page's.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell has failed.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    cells = [block.replace(ENDPOINT, url) for block in [*blocks[:-1], *more, blocks[-1]]]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    with kernels_place() as place:
        config = Config({"KernelManager": place})
        NotebookClient(notebook, timeout=WITHIN_S, kernel_name="python3", resources=resources, config=config).execute()
    nbformat.write(notebook, folder / f"{Path(page).stem}.ipynb")
    return notebook


def shown(notebook: Any) -> list[str]:
    """The HTML that its cells show, a text for each cell; a page of its own isn't made of it."""
    return [
        "".join(output["data"].get("text/html", "") for output in cell["outputs"] if "data" in output)
        for cell in notebook.cells
    ]
