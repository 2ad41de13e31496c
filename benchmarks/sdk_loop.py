"""The baseline: a plain loop over Klaviyo's SDK with pandas and DuckDB. The first argument is a JSON object of options."""

import json
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pandas as pd
from klaviyo_api import KlaviyoAPI

from benchmarks.machine import peak_mb
from benchmarks.one_sync import KEY


def _row(record: Any) -> dict[str, Any]:
    attributes, profile = record.attributes, record.relationships.profile.data
    return {
        "id": record.id,
        "timestamp": attributes.timestamp,
        "event_properties": json.dumps(attributes.event_properties),
        "datetime": attributes.datetime_,
        "uuid": attributes.uuid,
        "profile_id": profile.id if profile is not None else None,
    }


def main(base_url: str, folder: str) -> None:
    """Read all events into a table and print the measurements as JSON."""
    warnings.simplefilter("ignore")
    api = KlaviyoAPI(KEY, max_retries=3, test_host=base_url)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    path = Path(folder) / "klaviyo.duckdb"
    requests = 0
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE events (id VARCHAR, timestamp BIGINT, event_properties VARCHAR, datetime TIMESTAMPTZ, uuid VARCHAR, profile_id VARCHAR)"
        )
        cursor: dict[str, str] = {}
        while True:
            page = api.Events.get_events(page_size=1000, sort="datetime", **cursor)
            requests += 1
            connection.register("frame", pd.DataFrame([_row(record) for record in page.data]))
            connection.execute("INSERT INTO events BY NAME SELECT * FROM frame")
            if not page.links.next:
                break
            cursor = {"page_cursor": parse_qs(urlsplit(page.links.next).query)["page[cursor]"][0]}
        ((rows,),) = connection.execute("SELECT count(*) FROM events").fetchall()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak_mb(), "requests": requests}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
