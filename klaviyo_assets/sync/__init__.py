"""Runs one sync of one resource type. Independent of Dagster.

``sync_runner`` goes from the lock to the report: ``resume`` loads what an interrupted sync left, ``planning`` plans, ``pipeline`` reads, stages and
loads (with a diagram), ``prepare_rows`` applies field rules to new rows, ``completion`` handles rows that were not returned. ``children`` and
``grouped_children`` are the steps of child types only.
"""
