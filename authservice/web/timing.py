"""Delay refused sign-ins to a multiple of 25 ms, so that the response time reveals nothing about an account."""

import time

from flask import request

ARRIVED = "authservice.arrived"  # in the WSGI environ: time.perf_counter() when the request arrived
GRID_SECONDS = 0.025


def wait_for_the_grid() -> None:
    """Sleep until the time since the request arrived is a multiple of GRID_SECONDS.

    Every refusal does the same bcrypt work, but the work around it differs by tenths of a millisecond. The grid hides
    the difference unless it crosses a slot: docs/decisions/0004-refusal-grid.md.
    """
    elapsed: float = time.perf_counter() - request.environ[ARRIVED]
    time.sleep(-elapsed % GRID_SECONDS)
