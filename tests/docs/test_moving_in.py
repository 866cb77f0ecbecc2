"""The page about moving in says what the profiles do."""

import re

from authservice.migration.profiles import PROFILES
from tests.service import ROOT

PAGE = (ROOT / "docs/moving-in.md").read_text()


def rows():
    section = PAGE.split("\n## Where users can come from\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_table_has_every_profile_in_its_order():
    assert [name.strip("`") for name, *_ in rows()] == list(PROFILES)


def test_the_table_says_which_profiles_can_stay_in_place():
    assert {name.strip("`"): in_place == "yes" for name, in_place, *_ in rows()} == {
        name: profile.may_adopt for name, profile in PROFILES.items()
    }


def test_a_profile_is_found_under_its_own_name():
    assert all(name == profile.name for name, profile in PROFILES.items())


def test_examples_give_several_files_only_where_they_are_joined():
    examples = re.findall(r"users import --from (\S+) (\S+) (?!--)\S+\.\w+", PAGE)
    assert examples
    assert [name for name, _ in examples if PROFILES[name].joins is None] == []
