"""One view per metric, with the properties of its events as columns."""
