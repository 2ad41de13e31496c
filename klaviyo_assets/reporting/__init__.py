"""What ops report to Dagster: materializations, partitions, failures and lines of the log of a run."""
