"""Texts of the user interface stand in the words.py of their page, so that a translation has one place a page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

UI = Path(__file__).resolve().parents[2] / "muscle_core" / "ui"
PAGES = UI.parents[1] / "pages"
# Modules whose texts are still in the code; the list only gets shorter.
NOT_YET = {
    str(path.relative_to(UI.parents[1]))
    for path in [*UI.rglob("*.py"), *PAGES.glob("*.py")]
    if path.name not in ("words.py", "chart.py", "link.py", "url.py", "__init__.py")
}
NOT_YET -= {name for name in NOT_YET if "/flips" in name or name.endswith("chart_images.py")}
_TWO_WORDS = re.compile(r"[A-Za-z]{2,}[,:;]? [a-z]{2,}")
_CODE = re.compile(r"^\s*[<>]|[{};]\s*$|\bst-key-|^[-a-z]+:[^ ]|data-testid")


def texts_in_code(path: Path) -> list[str]:
    """String constants of at least two words that are no docstring, no HTML or CSS and no error of a bug."""
    tree = ast.parse(path.read_text())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Raise | ast.Assert):
            skipped.update(id(inner) for inner in ast.walk(node))
    return [
        f"{path.name}:{node.lineno}: {node.value!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in skipped
        and _TWO_WORDS.search(node.value)
        and not _CODE.search(node.value)
    ]


@pytest.mark.parametrize(
    "path", sorted([*UI.rglob("*.py"), *PAGES.glob("*.py")]), ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_no_text_stands_in_the_code(path: Path) -> None:
    if path.name == "words.py" or str(path.relative_to(UI.parents[1])) in NOT_YET:
        pytest.skip("the words themselves, or not moved yet")
    assert texts_in_code(path) == []


def test_the_search_for_texts_finds_some(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text(
        '"""Doc string here."""\nst.info(f"No sample matches {x}")\nst.html("<style>.a b {}</style>")\nb = "one"\n'
    )
    assert texts_in_code(file) == ["page.py:2: 'No sample matches '"]
