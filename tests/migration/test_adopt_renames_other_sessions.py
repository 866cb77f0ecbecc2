"""Sessions of another stack would be lost among ours: ``users adopt`` refuses them, or gives them another name."""

import pytest

from tests.conftest import ALICE, BOB, CHARLIE, sign_in
from tests.migration.adopting import adopt, contents, nestjs, payload, require_done


@pytest.mark.parametrize("options", [["--yes"], [], ["--dry-run"]], ids=str)
def test_without_the_option_no_byte_changes(app, database, options):
    database.users.insert_many([payload(ALICE, sessions=[]), payload(BOB)])
    before = contents(database)
    refused = adopt(app, "payload", *options)
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: Some documents use our field names for something else. "
        "--rename-sessions renames sessions to payloadSessions.\n"
    )
    assert contents(database) == before


def test_where_there_are_none_nothing_is_refused(app, database):
    database.users.insert_many([payload(ALICE, sessions=[]), {"_id": 1, "sessions": ["of no user"]}])
    require_done(adopt(app, "payload", "--yes"), 1, all_in=False)


def test_with_the_option_theirs_have_another_name(app, database):
    document = payload(ALICE)
    database.users.insert_one(document)
    require_done(adopt(app, "payload", "--yes", "--rename-sessions"), 1)
    found = database.users.find_one()
    assert (found["sessions"], found["payloadSessions"]) == ([], document["sessions"])
    assert found["legacy"]["renamed"] == {"sessions": "payloadSessions"}


@pytest.mark.parametrize("theirs", [["a"], [{"id": "a"}], {"a": 1}, "a"], ids=str)
def test_it_is_the_same_for_an_app_of_any_stack(app, client, database, theirs):
    document = nestjs(ALICE, sessions=theirs)
    database.users.insert_one(document)
    assert adopt(app, "nestjs", "--yes").exit_code == 1
    require_done(adopt(app, "nestjs", "--yes", "--rename-sessions"), 1)
    sign_in(client, ALICE)
    assert database.users.find_one()["nestjsSessions"] == theirs


def test_a_name_that_is_not_free_keeps_the_user_out(app, database):
    database.users.insert_many([payload(ALICE, payloadSessions=1), payload(BOB, sessions=[]), payload(CHARLIE)])
    result = adopt(app, "payload", "--yes", "--rename-sessions")
    require_done(result, 2, all_in=False)
    assert "    it has a field payloadSessions already (1): " in result.stdout
