"""The table of metrics in docs/operations.md is the code, and the dashboard asks for nothing else."""

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from authservice import metrics
from tests.conftest import ALICE, PASSWORD
from tests.service import ROOT

SECTION = (ROOT / "docs/operations.md").read_text().split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
DASHBOARD = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
OF_PROMETHEUS = {"job", "instance", "le"}  # labels that a scrape adds, and those of a histogram's buckets
UNITS = ("_seconds", "_total", "_info", "_in_progress", "_waiting", "_paused")


def written():
    """Name: (type, labels, meaning)."""
    lines = [line for line in SECTION.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {name.strip("`"): (kind, re.findall(r"`(\w+)`", labels), meaning) for name, kind, labels, meaning in cells}


def actual():
    """The same of everything that authservice.metrics holds."""
    held = [one for one in vars(metrics).values() if hasattr(one, "_labelnames")]
    found = {}
    for metric in held:
        (family,) = metric.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = (family.type, list(metric._labelnames), family.documentation)
    return found


def test_the_table_is_the_code():
    assert written() == actual()


def test_the_names_follow_prometheus_conventions():
    for name, (kind, _, meaning) in actual().items():
        assert re.fullmatch(r"authservice(_[a-z]+)+", name)
        assert name.endswith(UNITS), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert meaning.endswith("."), name


def queries():
    """Each query of the dashboard: those of its panels and those of its variables."""
    of_variables = [one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return of_variables + [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


@pytest.fixture
def served(client):
    """Name of each sample at /metrics: the names of its labels."""
    client.post("/users", json={"email": ALICE, "password": PASSWORD})
    assert client.post("/auth", json={"email": ALICE, "password": PASSWORD}).status_code == 200
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").get_data(as_text=True)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", queries())
def test_the_dashboard_asks_for_what_is_there(served, query):
    names = re.findall(r"\bauthservice_\w+", query)
    assert names
    assert set(names) <= served.keys()
    asked = [label for by in re.findall(r"\bby \(([^)]*)\)", query) for label in by.split(", ")]
    asked += re.findall(r"(\w+)=~?\"", query)
    for name in names:
        assert set(asked) - OF_PROMETHEUS <= served[name]


def test_the_dashboard_shows_every_metric():
    asked = {name for query in queries() for name in re.findall(r"\bauthservice_\w+", query)}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked} == written().keys()


def test_its_data_source_is_a_variable():
    (variable,) = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "datasource"]
    assert (variable["name"], variable["query"]) == ("datasource", "prometheus")
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    others = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    sources = [one["datasource"] for one in [*panels, *others, *(it for panel in panels for it in panel["targets"])]]
    assert sources
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_no_two_panels_are_at_one_place():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
