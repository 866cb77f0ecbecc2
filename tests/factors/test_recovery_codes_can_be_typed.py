"""Recovery codes have 80 bits, and are the same however they are typed."""

import hashlib
import re

import pytest

from authservice.security import recovery_codes


def test_ten_of_80_bits_each_in_groups():
    made = recovery_codes.new()
    assert len({*made}) == 10
    assert all(re.fullmatch(r"([a-z2-7]{4}-){3}[a-z2-7]{4}", code) for code in made)  # 16 characters of 5 bits
    assert {*made}.isdisjoint(recovery_codes.new())


@pytest.mark.parametrize(
    "typed", ["klbo-2345-mnop-qrst", "KLBO2345MNOPQRST", " klbo 2345 mnop qrst ", "k18O-2345-mn0p-qrst"]
)
def test_however_it_is_typed(typed):
    assert recovery_codes.hash_of(typed) == hashlib.sha256(b"klbo2345mnopqrst").hexdigest()


@pytest.mark.parametrize("typed", ["", "klbo-2345-mnop-qrs", "klbo-2345-mnop-qrsu", "\ud800"])
def test_another_code_is_another_one(typed):
    assert recovery_codes.hash_of(typed) != hashlib.sha256(b"klbo2345mnopqrst").hexdigest()
