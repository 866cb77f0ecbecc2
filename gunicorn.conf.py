"""What ``gunicorn wsgi:app`` reads in the repository: the package's own configuration.

It is run and not imported: at a reload gunicorn runs it again, and an import of the package would come before its
first line, which patches Python.
"""

import runpy
from importlib.util import find_spec
from pathlib import Path

spec = find_spec("authservice")
assert spec is not None
assert spec.origin is not None
globals().update(runpy.run_path(str(Path(spec.origin).parent / "serving" / "gunicorn_conf.py")))
