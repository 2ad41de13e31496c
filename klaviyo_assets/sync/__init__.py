"""Run one sync of one resource type: plan, extract, stage, load, report. Knows nothing of Dagster."""
