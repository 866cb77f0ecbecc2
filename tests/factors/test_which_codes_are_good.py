"""A code is good in its step of 30 seconds, and one step either way."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pyotp
import pytest

from authservice.security import totp

RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_codes_of_the_standard(seconds, code):
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp.matching_step(RFC_SECRET, code, at) == seconds // 30


@pytest.mark.parametrize(("steps", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_either_way_is_good(steps, is_good):
    at = datetime(2026, 11, 28, 12, 0, 1, tzinfo=UTC)
    code = pyotp.TOTP(RFC_SECRET).at(at + timedelta(seconds=30 * steps))
    step = int(at.timestamp()) // 30 + steps
    assert totp.matching_step(RFC_SECRET, code, at) == (step if is_good else None)


@pytest.mark.parametrize("typed", ["287 082", " 287082 ", "287082\n"])
def test_spaces_do_not_matter(typed):
    assert totp.matching_step(RFC_SECRET, typed, datetime.fromtimestamp(59, UTC)) == 1


@pytest.mark.parametrize(
    "typed",
    ["", "28708", "2870820", "94287082", "²87082", "\uff12\uff18\uff17\uff10\uff18\uff12", "\ud800" * 6, "-87082"],
)
def test_anything_else_is_no_code(typed):
    assert totp.matching_step(RFC_SECRET, typed, datetime.fromtimestamp(59, UTC)) is None


def test_a_secret_has_160_bits_and_is_another_one_each_time():
    made = {totp.new_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(secret) for secret in made} == {32}


def test_an_app_reads_the_uri():
    uri = totp.uri(RFC_SECRET, "na+talie@example.com", "Shop & Co: 1")
    read = pyotp.parse_uri(uri)
    assert (read.secret, read.name, read.issuer) == (RFC_SECRET, "na+talie@example.com", "Shop & Co: 1")
    assert (read.digits, read.interval) == (6, 30)


def test_the_qr_code_is_one_svg_element_without_scripts_and_links():
    root = ElementTree.fromstring(totp.svg(totp.uri(RFC_SECRET, "a" * 242 + "@example.com", "Shop")))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {element.tag.partition("}")[2] for element in root.iter()} == {"svg", "path"}
    assert "viewBox" in root.attrib
