"""General helpers: text output, private files, locks, cancellation, threads. Not part of the public API."""
