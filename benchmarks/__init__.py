"""Benchmarks: speed, memory and requests of syncs. Run them with ``python -m benchmarks``."""
