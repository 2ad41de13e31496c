"""What ops report to Dagster.

``materialization`` has the metadata of a sync, ``failures`` converts errors, ``run_log`` writes lines of the run's log. ``period_report`` and
``mart_days`` report partitions, ``provenance`` adds the versions of inputs, and ``dagster_events`` stores many events at once.
"""
