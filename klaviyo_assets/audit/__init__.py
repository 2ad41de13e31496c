"""Audits: compare Klaviyo's own counts of events with the table, to find events that arrived after the last lookback age.

``audit`` runs one: ``occupied`` finds the years with events, ``event_counts`` requests Klaviyo's counts, ``compare`` decides about each difference,
and ``audit_store`` reads and writes the database.
"""
