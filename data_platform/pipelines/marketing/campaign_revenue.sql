select
    cast(:partition_start as date) as day,
    campaigns.campaign_id,
    campaigns.campaign_type,
    cast(sum(transactions.sales_value) as decimal(18, 2)) as revenue,
    cast(sum(transactions.coupon_disc) as decimal(18, 2)) as coupon_discount,
    count(distinct transactions.household_id) as households
from retail.staging.transactions
join staging.offers on offers.product_id = transactions.product_id
join staging.campaigns on campaigns.campaign_id = offers.campaign_id
where cast(:partition_start as date) between campaigns.start_date and campaigns.end_date
group by all
