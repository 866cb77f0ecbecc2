"""The users seen so far in an export, for a dry run.

They lie on the disk: a million keys need not fit into memory.
"""

import sqlite3


class Seen:
    """SQLite deletes its file as soon as it is open, so nothing is left even if the process is killed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, email TEXT UNIQUE) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, key: str, email: str) -> bool:
        """False if the key or the e-mail was there."""
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, email)).rowcount == 1

    def email_of(self, key: str) -> str | None:
        """The e-mail that the key was added with."""
        found = self._database.execute("SELECT email FROM seen WHERE key = ?", (key,)).fetchone()
        return found and str(found[0])

    def close(self) -> None:
        self._database.close()
