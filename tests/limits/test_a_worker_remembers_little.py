"""What a worker remembers of attempts is bounded in number and in time."""

import tracemalloc

from authservice.config import Rate
from authservice.limits import memory
from authservice.limits.memory import LocalBudgets, Refusals

MEMORY_MAX_BYTES = 4_000_000  # of each
SUBJECTS = 100_000


def test_a_local_budget_admits_exactly_its_burst():
    budgets, rate = LocalBudgets(), Rate(3, 3_000)
    assert [budgets.take("here", rate) for _ in range(3)] == [0.0] * 3
    assert 800 < budgets.take("here", rate) <= 1_000
    assert budgets.take("there", rate) == 0.0


def test_a_local_budget_fills_up_again():
    budgets, rate = LocalBudgets(), Rate(1, 0.001)
    assert budgets.take("here", rate) == 0.0
    while budgets.take("here", rate):
        pass


def test_a_refusal_is_forgotten_when_there_may_be_a_unit_again(monkeypatch):
    monkeypatch.setattr(memory, "REMEMBERED_SECONDS", 0.0)
    refusals = Refusals()
    refusals.remember("budget:1", 1_000)
    assert refusals.wait_seconds("budget:1") == 0.0


def test_a_refusal_is_remembered_with_the_time_that_is_left():
    refusals = Refusals()
    refusals.remember("budget:1", 1_000)
    assert 990 < refusals.wait_seconds("budget:1") <= 1_000
    refusals.forget("budget:1")
    assert refusals.wait_seconds("budget:1") == 0.0
    assert refusals.wait_seconds("budget:2") == 0.0


def test_a_refusal_is_remembered_for_five_seconds_at_most():
    assert memory.REMEMBERED_SECONDS == 5.0


def test_a_hundred_thousand_subjects_take_a_bounded_memory():
    tracemalloc.start()
    try:
        budgets, refusals = LocalBudgets(), Refusals()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(SUBJECTS):
            budgets.take(f"2001:db8:{number:x}::/48", Rate(120, 60))
        middle, _ = tracemalloc.get_traced_memory()
        for number in range(SUBJECTS):
            refusals.remember(f"sign_in_account_client:{number:024x}:{number:024x}", 60)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert middle - before < MEMORY_MAX_BYTES
    assert after - middle < MEMORY_MAX_BYTES
