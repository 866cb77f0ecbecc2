"""Every link between the pages leads to a file and a heading that exist, and CONTRIBUTING names every part."""

import re

import pytest

from tests.service import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(page):
    """As GitHub makes them of the headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_below_docs_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
        found = {(page.parent / link).resolve() for link in links if not link.startswith("https://")}
        waiting += found - reached
    assert set(PAGES) - reached == set()


def test_contributing_says_where_each_part_is():
    table = (ROOT / "CONTRIBUTING.md").read_text().split("\n## Where things are\n", 1)[1].split("\n## ", 1)[0]
    package = [
        path for path in (ROOT / "authservice").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    parts = [path.name if path.suffix else f"{path.name}/" for path in package]
    folders = [f"{name}/" for name in ("bench", "client", "deploy", "docs", "examples", "tests", "tools")]
    assert [part for part in parts + folders if not re.search(rf"[`/]{re.escape(part)}`", table)] == []
