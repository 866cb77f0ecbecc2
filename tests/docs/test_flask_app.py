"""The Flask app of the README runs as it is written there."""

import requests

from tests.conftest import ALICE, bearer
from tests.server.processes import sign_up
from tests.service import ROOT

SECTION = (ROOT / "README.md").read_text().split("\n## Use it in your Flask app\n", 1)[1].split("\n## ", 1)[0]


def block(language):
    return SECTION.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def test_it_guards_its_own_routes(serve, tmp_path):
    (tmp_path / "notes.py").write_text(block("python"))
    program, *arguments = block("sh").split()
    assert program == "authservice"
    service = serve(command=("-m", program, *arguments), cwd=tmp_path)
    token = sign_up(service, ALICE)
    answers = [
        requests.get(f"{service.url}{path}", headers=headers, timeout=10)
        for path, headers in [("/notes", {}), ("/notes", bearer(token)), ("/reports", bearer(token))]
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 403]
    assert answers[1].json() == {"owner": ALICE}
    assert answers[2].json()["code"] == "role_missing"
