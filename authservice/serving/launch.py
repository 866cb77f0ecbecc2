"""The program that ``authservice serve`` becomes: gunicorn, before anything of this package is loaded.

``python -m gunicorn`` would do, but for SIGUSR2: its new master would find gunicorn's `http` in place of Python's.
"""

from gunicorn.app.wsgiapp import run

if __name__ == "__main__":
    run(prog="authservice serve")
