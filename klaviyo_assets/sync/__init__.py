"""One sync of one resource type: plan, fetch, stage, load. Knows nothing of Dagster."""
