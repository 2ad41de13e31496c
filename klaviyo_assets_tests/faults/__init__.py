"""Fault injection: syncs under network faults and process kills, and the tables afterwards."""
