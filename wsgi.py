"""What ``gunicorn wsgi:app`` and ``flask --app wsgi`` load in the repository."""

from authservice.serving.wsgi import app

__all__ = ["app"]
