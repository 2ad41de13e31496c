"""What the library takes and brings, measured: ``python -m benchmarks``."""
