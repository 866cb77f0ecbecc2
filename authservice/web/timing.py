"""When a refused sign-in may leave: on a grid, so that its time tells no more than its slot."""

import time

from flask import request

ARRIVED = "authservice.arrived"  # in the WSGI environ: time.perf_counter() as the request came in
GRID_SECONDS = 0.025


def wait_for_the_grid() -> None:
    """Sleep until a multiple of GRID_SECONDS since the request arrived.

    Everybody costs the same bcrypt work, but what is around it differs by some tenths of a millisecond: a document that
    is found or not, a cheap hash and what makes up for it. Few of these differences reach the next slot.
    """
    elapsed: float = time.perf_counter() - request.environ[ARRIVED]
    time.sleep(-elapsed % GRID_SECONDS)
