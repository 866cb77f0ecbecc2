"""How fast the service is, beside what it is made of: ``tox -e bench``."""
