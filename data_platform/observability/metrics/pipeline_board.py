"""The dashboard of a pipeline: how its assets stand, what they take and what they bring.

Made into Grafana's JSON by `dashboards`.
"""

from data_platform.observability.metrics.panels import Board, Row, lines, p95, stat, table

_ASSET = "{{layer}}/{{pipeline}}/{{asset}}"
_OF = '{pipeline=~"$pipeline"}'

PIPELINE = Board(
    "data-platform-pipeline",
    "Data platform: a pipeline",
    "How the assets of a pipeline stand, what they take and what they bring.",
    (
        Row(
            "Now",
            (
                stat(
                    "Assets too late",
                    f"count(data_platform_asset_freshness_status{_OF} == 2) or vector(0)",
                    1,
                    1,
                ),
                stat("Assets failed", f"sum(data_platform_asset_failed{_OF}) or vector(0)", 1, 1),
                stat(
                    "Checks failing",
                    f"sum(data_platform_asset_checks_failing{_OF}) or vector(0)",
                    1,
                    1,
                ),
                stat(
                    "Partitions missing",
                    f"sum(data_platform_asset_partitions_missing{_OF}) or vector(0)",
                    1,
                    100,
                ),
            ),
            4,
        ),
        Row(
            "Freshness",
            (
                lines(
                    "Lag against its limit",
                    "percentunit",
                    (
                        (
                            f"data_platform_asset_freshness_lag_seconds{_OF}"
                            f" / data_platform_asset_freshness_limit_seconds{_OF}"
                        ),
                        _ASSET,
                    ),
                    limits=(0.8, 1),
                    text="At 100 % what was promised isn't kept.",
                ),
                lines(
                    "Arrival to publication, 95 %",
                    "s",
                    (p95("arrival_to_publication_seconds", "layer", _OF), "{{layer}}"),
                    text="Backfills aren't in it.",
                ),
                table(
                    "Partitions that are missing",
                    f"data_platform_asset_partitions_missing{_OF} > 0",
                    1,
                    100,
                ),
            ),
        ),
        Row(
            "Runs",
            (
                lines(
                    "Runs ended in an hour",
                    "short",
                    (
                        (
                            "sum by (status) (increase("
                            f"data_platform_run_duration_seconds_count{_OF}[1h]))"
                        ),
                        "{{status}}",
                    ),
                ),
                lines(
                    "Run duration, 95 %",
                    "s",
                    (p95("run_duration_seconds", "status", _OF), "{{status}}"),
                ),
                lines(
                    "Runs against their budget",
                    "percentunit",
                    (
                        (
                            f"data_platform_pipeline_run_average_seconds{_OF}"
                            f" / data_platform_pipeline_run_budget_seconds{_OF}"
                        ),
                        "{{pipeline}}",
                    ),
                    limits=(1, 1.5),
                    text="The average of the last ten runs that are alike.",
                ),
            ),
        ),
        Row(
            "Steps",
            (
                lines(
                    "Time of steps, average",
                    "s",
                    (
                        (
                            f"rate(data_platform_asset_step_seconds_total{_OF}[$__rate_interval])"
                            " / on (pipeline, layer, asset) (sum by (pipeline, layer, asset) (rate("
                            'data_platform_steps_total{pipeline=~"$pipeline", status="success"}'
                            "[$__rate_interval])) > 0)"
                        ),
                        _ASSET,
                    ),
                ),
                lines(
                    "Steps that failed, and tries",
                    "short",
                    (
                        (
                            "increase(data_platform_steps_total"
                            '{pipeline=~"$pipeline", status="failure"}[1h]) > 0'
                        ),
                        f"failed {_ASSET}",
                    ),
                    (f"increase(data_platform_step_retries_total{_OF}[1h]) > 0", f"again {_ASSET}"),
                ),
            ),
        ),
        Row(
            "Rows",
            (
                lines(
                    "Rows published in an hour",
                    "short",
                    (f"increase(data_platform_asset_rows_published_total{_OF}[1h])", _ASSET),
                ),
                lines(
                    "Bytes published in an hour",
                    "bytes",
                    (f"increase(data_platform_asset_bytes_published_total{_OF}[1h])", _ASSET),
                ),
                lines(
                    "Rows held back in an hour",
                    "short",
                    (f"increase(data_platform_asset_rows_quarantined_total{_OF}[1h])", _ASSET),
                ),
                lines(
                    "Results of checks in an hour",
                    "short",
                    (
                        (
                            "sum by (result) (increase("
                            f"data_platform_asset_check_results_total{_OF}[1h]))"
                        ),
                        "{{result}}",
                    ),
                ),
            ),
        ),
        Row(
            "What steps take",
            (
                lines(
                    "Processors",
                    "short",
                    (f"rate(data_platform_asset_cpu_seconds_total{_OF}[$__rate_interval])", _ASSET),
                    text="Of one processor each.",
                ),
                lines(
                    "Memory of the last step",
                    "bytes",
                    (f"data_platform_asset_peak_memory_bytes{_OF}", _ASSET),
                ),
            ),
        ),
    ),
    ("pipeline",),
)
