"""A sync that is killed halfway and run again: how much is read twice."""

from benchmarks.measuring import PER_SECOND, folder, result, serving, start, wait_for
from benchmarks.table import table


def report(quick: bool) -> str:
    """Run it."""
    lines = []
    for name, seconds in (("events", 20 if quick else 40), ("profiles", 30 if quick else 60)):
        count = int(PER_SECOND[name] * seconds)
        with serving(f"--{name}", str(count), "--latency", "0.08") as server, folder() as into:
            options = {"base_url": server.base_url, "name": name, "folder": str(into)}
            pages = count / (1000 if name == "events" else 100)
            killed = start("one_sync", options)
            wait_for(lambda: server.responses(name).get("200", 0) >= pages / 2)  # noqa: B023
            killed.kill()
            killed.communicate()
            before = server.responses(name)["200"]
            run = result(start("one_sync", options))
            sent = server.stats()["records"][f"/api/{name}"]
        lines.append([name, int(pages), before, run.requests, f"{sent / count - 1:.1%}", run.rows == count])
    return table(["type", "full pages", "requests until the kill", "requests of the next sync", "records read twice", "complete"], lines)
