"""A to-do list for each signed-in user: a Flask app that embeds authservice.

flask --app examples/todo/app run
"""

import sqlite3
from pathlib import Path
from typing import Any

from flask import Flask, abort, current_app, g, request

from authservice import AuthService, User, current_user, jwt_required, user_deleted

SCHEMA = "CREATE TABLE IF NOT EXISTS todos (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL)"

auth = AuthService(url_prefix="/identity")


def create_app(**settings: Any) -> Flask:
    app = Flask(__name__)
    auth.init_app(app, **settings)
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    app.config["DATABASE"] = Path(app.instance_path) / "todos.sqlite"
    app.teardown_appcontext(close_database)
    user_deleted.connect(delete_todos, app)

    @app.get("/todos")
    @jwt_required()
    def list_todos() -> dict[str, Any]:
        rows = database().execute("SELECT id, title FROM todos WHERE owner = ?", (current_user().id,))
        return {"todos": [{"id": id, "title": title} for id, title in rows]}

    @app.post("/todos")
    @jwt_required()
    def add_todo() -> tuple[dict[str, Any], int]:
        sent = request.get_json()
        title = sent.get("title") if isinstance(sent, dict) else None
        if not isinstance(title, str) or not title.strip() or not title.isprintable() or len(title) > 200:
            abort(422, "Send a title of one line.")
        added = database().execute("INSERT INTO todos (owner, title) VALUES (?, ?)", (current_user().id, title))
        database().commit()
        return {"id": added.lastrowid, "title": title}, 201

    @app.delete("/todos/<todo_id>")
    @jwt_required()
    def delete_todo(todo_id: str) -> tuple[str, int]:
        owned = (todo_id, current_user().id)
        if not database().execute("DELETE FROM todos WHERE id = ? AND owner = ?", owned).rowcount:
            abort(404)
        database().commit()
        return "", 204

    return app


def delete_todos(app: Flask, user: User) -> None:
    """Delete the to-dos of a deleted account."""
    database().execute("DELETE FROM todos WHERE owner = ?", (user.id,))
    database().commit()


def database() -> sqlite3.Connection:
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"])
        g.database.execute(SCHEMA)
    return g.database  # type: ignore[no-any-return]


def close_database(error: BaseException | None) -> None:
    if "database" in g:
        g.pop("database").close()
