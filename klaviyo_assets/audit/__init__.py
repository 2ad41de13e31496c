"""Audits: compare Klaviyo's own counts of events with the table, to find events that arrived after the last lookback age."""
