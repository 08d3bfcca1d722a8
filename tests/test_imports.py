"""The rule of dependency of the design, proved on the source and by importing in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import muscle_core

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "muscle_core"

# Lower layers first; a module may import its own layer and those before it.
LAYERS = [
    {"errors", "paths", "__init__"},
    {"tasks", "metrics"},
    {"datasets", "models", "interchange"},
    {"scoring", "comparison"},
    {"compat", "figures", "report", "store"},
    {"demo", "jobs"},
    {"actions"},
    {"ui", "cli", "__main__"},
]
LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}
TORCH_FREE = ("metrics", "comparison", "interchange", "figures", "report", "store", "tasks", "datasets", "jobs")


def _modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts]


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def _part(module: str) -> str:
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_imports_a_higher_layer(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in _imports(path):
        if module.split(".")[0] != "muscle_core":
            continue
        part = _part(module)
        assert LEVEL[part] <= LEVEL[own], f"{path.name} ({own}) imports {module}"


def test_streamlit_is_imported_by_the_ui_only() -> None:
    importers = {
        path.relative_to(PACKAGE).parts[0]
        for path in _modules()
        if any(module.split(".")[0] == "streamlit" for module in _imports(path))
    }
    assert importers == {"ui"}


def test_pages_import_nothing_of_torch() -> None:
    for path in [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        assert not {m.split(".")[0] for m in _imports(path)} & {"torch", "transformers", "peft"}, path


def _loaded_after(statement: str, *names: str) -> str:
    code = f"{statement}; import sys; print([n for n in {names!r} if n in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()


def test_the_package_imports_neither_torch_nor_streamlit() -> None:
    assert _loaded_after("import muscle_core", "torch", "streamlit", "transformers", "pandas") == "[]"


@pytest.mark.parametrize("part", TORCH_FREE)
def test_these_parts_work_without_torch(part: str) -> None:
    assert _loaded_after(f"import muscle_core.{part}", "torch", "streamlit", "transformers", "peft") == "[]"


def test_what_the_pages_import_loads_no_torch() -> None:
    modules = [f"muscle_core.ui.{p.stem}" for p in (PACKAGE / "ui").glob("*.py") if p.stem != "__init__"]
    assert _loaded_after("import " + ", ".join(modules), "torch", "transformers", "peft") == "[]"


def test_every_public_name_resolves() -> None:
    for name in muscle_core.__all__:
        assert getattr(muscle_core, name) is not None


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = muscle_core.nonsense
