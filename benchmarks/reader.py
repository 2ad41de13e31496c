"""One reader of the published copy: opens it, queries for two seconds, closes it, again and again. Prints what it found as JSON.

The first argument is a JSON object of options: the copy, and a folder with signals. While the file ``go`` exists it reads; when ``stop`` exists
it ends.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import duckdb

_QUERY_SECONDS, _PAUSE_SECONDS = 2.0, 0.2
_COUNTS = """
SELECT
    (SELECT list((resource_type, table_rows) ORDER BY resource_type)::VARCHAR FROM klaviyo._published),
    (SELECT [('events', (SELECT count(*) FROM klaviyo.events)), ('profiles', (SELECT count(*) FROM klaviyo.profiles))]::VARCHAR),
    (SELECT (list(DISTINCT published_at)::VARCHAR, bool_and(latest_outcome = 'succeeded'), count(*))::VARCHAR FROM klaviyo._published)
"""


def read(copy: Path, signals: Path) -> dict[str, Any]:
    """Read until the signal to stop."""
    opened, errors, partial = 0, list[str](), list[str]()
    versions: set[str] = set()
    while not (signals / "stop").exists():
        if not (signals / "go").exists():
            time.sleep(0.05)
            continue
        try:
            with duckdb.connect(str(copy), read_only=True, config={"threads": 1}) as connection:
                opened += 1
                # The query runs, in the sense of holding the file, for two seconds: the processor is left to the syncs.
                before = connection.execute(_COUNTS).fetchall()
                time.sleep(_QUERY_SECONDS)
                after = connection.execute(_COUNTS).fetchall()
        except duckdb.Error as error:
            errors.append(str(error)[:200])
            continue
        published, counted, version = before[0]
        if published != counted or before != after or "true" not in version:
            partial.append(f"{before} {after}")
        versions.add(counted)
        time.sleep(_PAUSE_SECONDS)
    return {"opened": opened, "errors": errors, "partial": partial, "versions": sorted(versions)}


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    print(json.dumps(read(Path(options["copy"]), Path(options["signals"]))))
