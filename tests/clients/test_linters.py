"""The standard rules of Redocly and Spectral find no fault in /openapi.json."""

import json

import pytest

from tests.clients import needs

BROKEN = {  # faults that each of them must find
    "redocly": ("operation-operationId", "security-defined", "no-unused-components"),
    "spectral": ("operation-description", "operation-operationId", "oas3-unused-component"),
}


@pytest.fixture
def lint(run_npm):
    """The names of the broken rules that a linter reports, hints included."""

    def redocly(file):
        done = run_npm("redocly", "lint", file, "--extends", "recommended", "--format", "json")
        return [problem["ruleId"] for problem in json.loads(done.stdout)["problems"]]

    def spectral(file):
        rules = needs.HERE / "spectral.yaml"
        done = run_npm("spectral", "lint", file, "--ruleset", rules, "--format", "json", "--quiet")
        return [problem["code"] for problem in json.loads(done.stdout)]

    return {"redocly": redocly, "spectral": spectral}


@pytest.mark.parametrize("linter", ["redocly", "spectral"])
def test_a_linter_has_nothing_to_say(lint, linter, description):
    assert lint[linter](description) == []


@pytest.mark.parametrize("linter", ["redocly", "spectral"])
def test_the_linter_would_have_said_it(lint, linter, description):
    described = json.loads(description.read_text())
    me = described["paths"]["/users/me"]["get"]
    del me["operationId"], me["description"], me["security"]
    described["components"]["schemas"]["Unused"] = {"type": "object"}
    description.write_text(json.dumps(described))
    assert sorted(lint[linter](description)) == sorted(BROKEN[linter])
