select
    cast(:partition_start as date) as day,
    weekly_revenue.department,
    cast(sum(weekly_revenue.revenue) as decimal(18, 2)) as revenue,
    targets.weekly_target,
    cast(
        round(sum(100 * weekly_revenue.revenue / targets.weekly_target), 1) as decimal(9, 1)
    ) as attained_percentage
from retail.analytics.weekly_revenue
join staging.targets on targets.department = weekly_revenue.department
group by all
