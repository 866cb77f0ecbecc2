"""What the tests of import and export share: users of a Node app, and the commands."""

import gzip
import json

import bcrypt

PASSWORD = "correct horse battery staple"
HASH = bcrypt.hashpw(PASSWORD.encode(), b"$2b$04$saltsaltsaltsaltsaltsu").decode()


def user(number, **fields):
    return {"id": f"u{number}", "email": f"user{number}@example.com", "password": HASH, **fields}


def ndjson(*records):
    return "".join(f"{json.dumps(record)}\n" for record in records)


def write(folder, content, name="export"):
    """Under a name that says nothing about the format."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def packed(text):
    return gzip.compress(text.encode())


def call(app, *arguments, stdin=b""):
    """``flask users ...``"""
    return app.test_cli_runner().invoke(args=["users", *arguments], input=stdin)


def imported(app, *files, profile="nestjs", exit_code=0, stdin=b"", options=()):
    """The table that an import ends with."""
    result = call(app, "import", "--from", profile, *files, *options, stdin=stdin)
    assert result.exit_code == exit_code, result.output
    return table_of(result.stdout)


def table_of(output):
    """Names and counts, without those that are nothing."""
    rows = [line.rsplit(None, 1) for line in output.splitlines() if line[-1:].isdigit()]
    return {name.strip(): int(count.replace(",", "")) for name, count in rows if count != "0"}


def rejected(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
