"""An import shows how far it is, with rate and time left, where somebody looks: on a terminal."""

import os
import pty
import re
import subprocess
import sys

from authservice.cli import progress
from tests.conftest import SECRET
from tests.migration.importing import call, ndjson, user, write
from tests.service import ROOT


def test_no_progress_is_written_to_what_is_no_terminal(app, tmp_path):
    result = call(app, "import", "--from", "nestjs", write(tmp_path, ndjson(*map(user, range(50)))))
    assert "\r" not in result.output
    assert "/s" not in result.output


def test_one_record_is_one(monkeypatch):
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    shown = []
    monkeypatch.setattr(progress.click, "echo", lambda line, **_: shown.append(line.strip()))
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)
    bar = progress.Progress("records", lambda: None)
    bar.add()
    bar.add()
    assert [re.sub(r"^\x1b\[K|  .*", "", line) for line in shown] == ["1 record", "2 records"]


def test_a_terminal_sees_count_rate_and_time_left(mongo_uri, tmp_path):
    export = write(tmp_path, ndjson(*map(user, range(2_500))))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "authservice", "users", "import", "--from", "nestjs", export]
    environment = {**os.environ, "FLASK_MONGO_URI": mongo_uri, "FLASK_JWT_SECRET_KEY": SECRET}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 4096):
            written += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0
    shown = written.decode()
    assert re.search(r"\r\x1b\[K[0-9,]+ records  [0-9,]+/s  [0-9]+%  [0-9]+:[0-9]{2} left", shown)
    assert "imported            2,500" in shown
