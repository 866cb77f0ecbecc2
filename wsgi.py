"""What gunicorn and ``flask --app wsgi`` load."""

from authservice import create_app

app = create_app()
