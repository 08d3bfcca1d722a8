"""Take the pictures of every page for the documentation: light and dark, 900 and 1,440 pixels wide.

    make screenshots                            # over the demo, loaded afresh
    make screenshots ARGS="--home workspace"    # over a copy of a workspace

The demo and its figures are the same wherever they are made; what shows the time of day is not.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from serving import browser, served, settled  # noqa: E402

from muscle_core.actions.library.demo import load_demo  # noqa: E402
from muscle_core.actions.updates.compare import compare_versions  # noqa: E402
from muscle_core.store import Workspace  # noqa: E402
from muscle_core.ui.frame import PAGES  # noqa: E402

THEMES = ("light", "dark")
WIDTHS = (900, 1440)
TALLEST = 1500  # pixels; what is below is left out
LARGEST = 3_000_000  # bytes of all pictures
_DRAWN = """Array.from(document.querySelectorAll('[data-testid="stPlotlyChart"]'))
  .every(chart => !chart.checkVisibility() || chart.querySelector('.main-svg'))"""
PICKS = {"dataset": "demo-choice", "old": "demo-choice-v1", "new": "demo-choice-v2"}


def main() -> int:
    """Run the command line."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        home = Path(scratch) / "workspace"
        if options.home is not None:
            shutil.copytree(options.home, home)
        workspace = Workspace.open(home)
        if options.home is None:
            load_demo(workspace)
        addresses = _addresses(workspace)
        workspace.close()
        options.out.mkdir(parents=True, exist_ok=True)
        with served(home, Path(scratch) / "app.log") as url, browser(options.chromium) as chrome:
            written = list(_pictures(chrome, url, addresses, options.out, options.pages))
    total = sum(file.stat().st_size for file in written)
    print(f"{len(written)} pictures, {total / 1e6:.2f} MB, in {options.out}")
    if total > LARGEST:
        print(f"more than {LARGEST / 1e6:g} MB: lower the quality", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, help="workspace with the demo; it is copied first")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--pages", nargs="*", default=list(PAGES), choices=list(PAGES))
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    options = parser.parse_args()
    if options.chromium is None:
        parser.error("Chromium not found: install it (apt-get install chromium) or name it with --chromium")
    return options


def _addresses(workspace: Workspace) -> dict[str, str]:
    """Path and parameters of each page, in a state that shows something."""
    compared = compare_versions(workspace, PICKS["old"], PICKS["new"], PICKS["dataset"]).samples
    flip = compared.loc[(compared["quadrant"] == "Q4").fillna(False), "sample_id"].iloc[0]
    more: dict[str, dict[str, str]] = {
        "samples": {"quadrant": "Q4", "sample": flip},
        "review": {"reviewer": "Ada"},
    }
    # The first page lives at the root.
    return {
        page: f"/{'' if number == 0 else page}?{urlencode(PICKS | more.get(page, {}))}"
        for number, page in enumerate(PAGES)
    }


def _pictures(chrome: Any, url: str, addresses: dict[str, str], out: Path, pages: Iterable[str]) -> Iterable[Path]:
    for theme in THEMES:
        for width in WIDTHS:
            context = chrome.new_context(
                viewport={"width": width, "height": 1000}, color_scheme=theme, reduced_motion="reduce"
            )
            page = context.new_page()
            for name in pages:
                page.set_viewport_size({"width": width, "height": 1000})
                page.goto(f"{url}{addresses[name]}")
                settled(page)
                height = page.evaluate("document.querySelector('[data-testid=\"stMainBlockContainer\"]').scrollHeight")
                page.set_viewport_size({"width": width, "height": min(max(height, 600), TALLEST)})
                settled(page)
                page.wait_for_function(_DRAWN)
                page.wait_for_timeout(800)  # charts follow the new size
                file = out / f"{name}-{theme}-{width}.webp"
                _write(page.screenshot(animations="disabled", caret="hide"), file)
                yield file
            context.close()


def _write(png: bytes, file: Path) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image.save(file, "WEBP", quality=80, method=6)


if __name__ == "__main__":
    sys.exit(main())
