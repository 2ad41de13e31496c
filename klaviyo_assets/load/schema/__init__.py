"""The tables in the database: their columns, and objects of other programs in the same schema."""
