SELECT
    CAST(ordered_at AS DATE) AS day,
    country,
    COUNT(*) AS orders,
    CAST(SUM(amount) AS DECIMAL(18, 2)) AS revenue
FROM staging.orders
GROUP BY ALL
