"""Helpers without a subject of their own: text for humans, private files, locks, cancellation, threads. Not part of the public API."""
