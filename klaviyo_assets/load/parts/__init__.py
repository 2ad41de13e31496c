"""Divides work on tables and batches into parts that fit into memory."""
