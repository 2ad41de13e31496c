"""The stored children of each parent, for child types."""
