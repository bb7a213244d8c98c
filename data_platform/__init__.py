"""data_platform: pipelines declared in YAML and SQL, run as audited Dagster assets."""
