"""The dashboard of the platform: what is wrong now on top, then what it may come from.

Made into Grafana's JSON by `dashboards`.
"""

from data_platform.observability.metrics.panels import Board, Row, lines, p95, stat, table

PLATFORM = Board(
    "data-platform",
    "Data platform",
    "What is wrong anywhere, and how the machine, the database and the daemon are.",
    (
        Row(
            "Now",
            (
                stat("Database out of reach", "count(data_platform_up == 0) or vector(0)", 1, 1),
                stat(
                    "Assets too late",
                    "count(data_platform_asset_freshness_status == 2) or vector(0)",
                    1,
                    1,
                ),
                stat("Assets failed", "sum(data_platform_asset_failed) or vector(0)", 1, 1),
                stat(
                    "Checks failing",
                    'sum(data_platform_asset_checks_failing{severity="error"}) or vector(0)',
                    1,
                    1,
                ),
                stat(
                    "Partitions failed",
                    "sum(data_platform_asset_partitions_failed) or vector(0)",
                    1,
                    10,
                ),
                stat("Pipelines broken", "max(data_platform_pipelines_broken)", 1, 1),
            ),
            4,
        ),
        Row(
            "What is wrong",
            (
                table("Too late, or late", "data_platform_asset_freshness_status > 0", 1, 2),
                table("Failed", "data_platform_asset_failed == 1", 1, 1),
                table("Failing checks", "data_platform_asset_checks_failing > 0", 1, 1),
            ),
        ),
        Row(
            "Told",
            (
                lines(
                    "Open incidents",
                    "short",
                    ("max by (severity) (data_platform_incidents_open)", "{{severity}}"),
                    text="One for each cause, whatever is late behind it.",
                ),
                lines(
                    "Messages that wait for a channel",
                    "short",
                    ("max by (channel) (data_platform_alert_messages_waiting)", "{{channel}}"),
                ),
                lines(
                    "Events of lineage",
                    "short",
                    ("max by (state) (data_platform_lineage_events_waiting)", "{{state}}"),
                ),
            ),
            6,
        ),
        Row(
            "Runs",
            (
                lines(
                    "Runs under way",
                    "short",
                    ("sum by (status) (data_platform_runs)", "{{status}}"),
                    limits=(20,),
                    text="More than 20 at a time, or in the queue, is much.",
                ),
                lines(
                    "Runs ended in an hour",
                    "short",
                    (
                        "sum by (status) (increase(data_platform_runs_ended_total[1h]))",
                        "{{status}}",
                    ),
                ),
                lines(
                    "Oldest run",
                    "s",
                    ("max(data_platform_run_queue_oldest_seconds)", "queued"),
                    ("max(data_platform_run_oldest_running_seconds)", "running"),
                ),
                lines(
                    "Run duration, 95 %",
                    "s",
                    (p95("run_duration_seconds", "pipeline"), "{{pipeline}}"),
                    text="A run of several pipelines counts in each of them.",
                ),
            ),
        ),
        Row(
            "Queue and pools",
            (
                lines(
                    "Wait from request to start, 95 %",
                    "s",
                    (p95("run_queue_wait_seconds", "pipeline"), "{{pipeline}}"),
                ),
                lines(
                    "Slots of pools in use",
                    "percentunit",
                    ("data_platform_pool_slots_used / (data_platform_pool_slots > 0)", "{{pool}}"),
                    limits=(0.9, 1),
                ),
                lines(
                    "Steps that wait for a pool",
                    "short",
                    ("data_platform_pool_steps_waiting", "{{pool}}"),
                ),
            ),
        ),
        Row(
            "Daemon",
            (
                lines(
                    "Since the last heartbeat",
                    "s",
                    (
                        "time() - (data_platform_daemon_last_heartbeat_timestamp_seconds > 0)",
                        "{{daemon}}",
                    ),
                    limits=(120, 300),
                    text="A daemon that never lived isn't shown; its alert is.",
                ),
                lines(
                    "Duration of ticks, 95 %",
                    "s",
                    (p95("tick_duration_seconds", "kind, name"), "{{kind}} {{name}}"),
                ),
                lines(
                    "Ticks that failed in an hour",
                    "short",
                    (
                        'increase(data_platform_ticks_total{status="failure"}[1h]) > 0',
                        "{{kind}} {{name}}",
                    ),
                ),
            ),
        ),
        Row(
            "Database",
            (
                lines(
                    "Connections in use",
                    "percentunit",
                    (
                        (
                            "sum by (instance) (data_platform_postgres_connections)"
                            " / on (instance) data_platform_postgres_max_connections"
                        ),
                        "{{instance}}",
                    ),
                    limits=(0.8, 0.95),
                ),
                lines(
                    "Size",
                    "bytes",
                    ("data_platform_event_log_bytes", "event log"),
                    ("data_platform_database_bytes", "database"),
                ),
                lines(
                    "Events that readers of the log are behind",
                    "short",
                    ("data_platform_follower_behind_events", "{{follower}}"),
                ),
                lines(
                    "A look of the exporter",
                    "s",
                    ("data_platform_look_duration_seconds", "{{instance}}"),
                ),
            ),
        ),
        Row(
            "Machine",
            (
                lines(
                    "Processors",
                    "percentunit",
                    ("data_platform_host_cpu_usage_ratio", "{{instance}}"),
                    limits=(0.8,),
                ),
                lines(
                    "Memory",
                    "percentunit",
                    ("data_platform_host_memory_usage_ratio", "{{instance}}"),
                    limits=(0.85,),
                ),
                lines(
                    "Disks",
                    "percentunit",
                    ("data_platform_host_disk_usage_ratio", "{{instance}} {{folder}}"),
                    limits=(0.9, 0.97),
                ),
            ),
        ),
    ),
)
