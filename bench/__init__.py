"""Benchmarks of the service and its building blocks: ``tox -e bench``."""
