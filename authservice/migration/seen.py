"""The keys and e-mails seen so far in an export, for a dry run.

They lie on the disk: a million keys need not fit into memory.
"""

import sqlite3


class Seen:
    """SQLite deletes its file as soon as it is open, so nothing is left even if the process is killed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (value TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, value: str) -> bool:
        """False if it was there."""
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (value,)).rowcount == 1

    def has(self, value: str) -> bool:
        return self._database.execute("SELECT 1 FROM seen WHERE value = ?", (value,)).fetchone() is not None

    def close(self) -> None:
        self._database.close()
