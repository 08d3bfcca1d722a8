"""The report's file in a real Chromium, opened from the disk: no network, no error, both themes, whole on paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from reports import MOMENT, WORDS, add_answers, add_update
from serving import served, settled

from muscle_core.actions.updates.report import write_report
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace

pytestmark = pytest.mark.browser
HOSTILE = (
    " </script><script>window.hit = 1</script><img src='https://evil.test/x' onerror='window.hit = 2'>\u202e مرحبا"
)
DRAWN = "document.documentElement.dataset.charts === 'drawn'"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of each kind of task; that of `choice` has an adapter and hostile texts."""
    folder = tmp_path_factory.mktemp("reports")
    workspace = Workspace.open(folder / "workspace")
    found = {}
    for kind in ("choice", "math", "summary"):
        add_update(workspace, folder, kind, extra=HOSTILE if kind != "summary" else "")
        compat = None
        if kind == "choice":
            compat = "fixed"
            answers = [{"id": f"s{n}", "answer": WORDS[n % 4] + HOSTILE} for n in range(120)]
            add_answers(workspace, folder, compat, kind, answers, ImportColumns(prediction="answer"))
        out = folder / f"{kind}.html"
        found[kind] = write_report(workspace, f"{kind}-old", f"{kind}-new", kind, out, compat=compat, moment=MOMENT)
    workspace.close()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["choice", "math", "summary"])
def test_it_opens_without_a_request_or_an_error(files: dict[str, Path], chrome: Any, kind: str, scheme: str) -> None:
    context = chrome.new_context(viewport={"width": 900, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(files[kind].as_uri())
    page.wait_for_function(DRAWN)
    assert [url for url in requests if not url.startswith("data:image/svg+xml,")] == [files[kind].as_uri()]
    assert problems == []
    assert page.evaluate("window.hit") is None
    expected = {"choice": 2, "math": 1, "summary": 1}[kind]
    assert page.locator("figure .chart .main-svg").first.is_visible()
    assert page.locator("figure").count() == expected
    # Text and page are far apart in brightness, and the charts' text is the page's.
    brightness = page.evaluate(
        "[document.body, document.body].map((e, i) => { const s = getComputedStyle(e);"
        " const c = (i ? s.backgroundColor : s.color).match(/\\d+/g); return (+c[0] + +c[1] + +c[2]) / 3; })"
    )
    assert (brightness[0] > brightness[1] + 150) if scheme == "dark" else (brightness[1] > brightness[0] + 150)
    tick = page.locator("figure .xtick text").first
    assert tick.evaluate("e => getComputedStyle(e).fill") == page.evaluate("getComputedStyle(document.body).color")
    context.close()


@pytest.mark.parametrize("width", [390, 900, 1440])
def test_nothing_is_wider_than_the_window(files: dict[str, Path], chrome: Any, width: int) -> None:
    page = chrome.new_page(viewport={"width": width, "height": 900})
    for file in files.values():
        page.goto(file.as_uri())
        page.wait_for_function(DRAWN)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_theme_follows_a_change_of_the_system(files: dict[str, Path], chrome: Any) -> None:
    page = chrome.new_page(color_scheme="light")
    page.goto(files["math"].as_uri())
    page.wait_for_function(DRAWN)
    tick = page.locator("figure .xtick text").first
    before = tick.evaluate("e => getComputedStyle(e).fill")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "old => getComputedStyle(document.querySelector('figure .xtick text')).fill !== old", arg=before
    )
    assert tick.evaluate("e => getComputedStyle(e).fill") == page.evaluate("getComputedStyle(document.body).color")
    page.close()


def test_paper_is_light_and_holds_a_picture_of_every_chart(files: dict[str, Path], chrome: Any) -> None:
    page = chrome.new_page(color_scheme="dark", viewport={"width": 700, "height": 900})
    page.goto(files["choice"].as_uri())
    page.wait_for_function(DRAWN)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    widths = page.evaluate(
        "Array.from(document.querySelectorAll('figure')).map(f => { const i = f.querySelector('img');"
        " return [i.naturalWidth, i.getBoundingClientRect().width, f.getBoundingClientRect().width,"
        " getComputedStyle(f.querySelector('.chart')).display]; })"
    )
    assert len(widths) == 2
    for natural, shown, room, live in widths:
        assert natural > 0
        assert 0 < shown <= room + 0.5
        assert live == "none"
    kept = page.evaluate(
        "Array.from(document.querySelectorAll('figure, .flip, .card, tr')).map(e => getComputedStyle(e).breakInside)"
    )
    assert set(kept) == {"avoid"}
    pdf = page.pdf(format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 20
    page.close()


def test_without_scripts_the_tables_and_examples_are_there(files: dict[str, Path], chrome: Any) -> None:
    context = chrome.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(files["choice"].as_uri())
    assert page.get_by_role("cell", name="24 of 120").first.is_visible()
    assert page.locator("article.flip").count() == 20
    context.close()


def test_the_page_gives_the_same_file_by_a_click(files: dict[str, Path], page: Any, tmp_path: Path) -> None:
    home = files["math"].parent / "workspace"
    with served(home, tmp_path / "app.log") as url:
        page.goto(f"{url}/?dataset=math&old=math-old&new=math-new")
        settled(page)
        with page.expect_download(timeout=60_000) as download:
            page.get_by_role("button", name="Report (HTML)").click()
        assert download.value.suggested_filename == "math-old-to-math-new-math.html"
        taken = Path(download.value.path()).read_text(encoding="utf-8")
    date = r"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC"
    written = files["math"].read_text(encoding="utf-8")
    assert re.sub(date, "", taken) == re.sub(date, "", written)
