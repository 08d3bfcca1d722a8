"""Every page in both themes under axe-core, the checker of the WCAG rules: nothing serious, nothing critical."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving import settled, violations

from muscle_core.ui.frame import PAGES

pytestmark = pytest.mark.browser
CHOICE = "dataset=demo-choice&old=demo-choice-v1&new=demo-choice-v2"
ROOT = Path(__file__).resolve().parents[2]
# The first page lives at the root.
FIRST_VIEWS = [f"/{'' if page == 'update_report' else page}?{CHOICE}" for page in PAGES]
ADDRESSES = [
    *FIRST_VIEWS,
    f"/samples?{CHOICE}&quadrant=Q4&sample=choice-test-0001",
    "/samples?dataset=demo-dialogue&old=demo-dialogue-v1&new=demo-dialogue-v2&sample=dialogue-test-0001&mark=rouge2",
    "/samples?dataset=demo-math&old=demo-math-v1&new=demo-math-v2&sample=math-test-0603&compare_with=gold",
    *(f"/flips?{CHOICE}&flips_tab={tab}" for tab in ("pairs", "slices", "versions")),
    f"/flips?{CHOICE}&flips_tab=pairs&pairs=versions",
    "/flips?dataset=demo-dialogue&flips_tab=scores&tau=0.1",
    f"/review?{CHOICE}&reviewer=Ada",
    "/?tour=1",
    "/?tour=4",
    "/library?tab=import",
    "/library?tab=datasets",
    "/library?tab=disk",
    "/library?tab=versions&version=demo-choice-v2&version_search=choice",
    "/library?tab=datasets&library_dataset=demo-math",
    "/library?tab=runs",
    "/library?tab=trainings",
]


@pytest.mark.parametrize(
    ("theme", "addresses"),
    [
        pytest.param("light", ADDRESSES, id="light"),
        pytest.param("dark", FIRST_VIEWS, id="dark"),
        pytest.param("dark", ADDRESSES, id="dark, all", marks=pytest.mark.slow),
    ],
)
def test_no_page_has_a_serious_or_critical_violation(
    chrome: Any, demo_url: str, theme: str, addresses: list[str]
) -> None:
    context = chrome.new_context(viewport={"width": 1440, "height": 2000}, color_scheme=theme)
    page = context.new_page()
    found = []
    for address in addresses:
        page.goto(f"{demo_url}{address}")
        settled(page)
        found += [(address, *one) for one in violations(page)]
    context.close()
    assert found == []


def test_the_pages_listed_are_those_in_the_folder() -> None:
    assert {info.file for info in PAGES.values()} == {f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")}
