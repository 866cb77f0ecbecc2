"""The program that ``authservice serve`` executes: gunicorn, before any module of this package is imported.

``python -m gunicorn`` fails at SIGUSR2: the new master imports gunicorn's `http` instead of Python's.
"""

from gunicorn.app.wsgiapp import run

if __name__ == "__main__":
    run(prog="authservice serve")
