"""Write what the other scripts made into one file for each stack. Run: python sort.py FOLDER FILE..."""

import json
import sys
from pathlib import Path

folder, *made = (Path(argument) for argument in sys.argv[1:])
golden = [one for path in made for one in json.loads(path.read_text())]
for stack in sorted({one["stack"] for one in golden}):
    lines = [
        json.dumps({name: value for name, value in one.items() if name != "stack"}, ensure_ascii=False)
        for one in golden
        if one["stack"] == stack
    ]
    (folder / f"{stack}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
