"""Changes of existing tables: a column that changes its type, and values that move from ``_extra`` into a new column."""
