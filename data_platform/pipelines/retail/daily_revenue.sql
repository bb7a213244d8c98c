select
    cast(:partition_start as date) as day,
    coalesce(products.department, 'UNKNOWN') as department,
    cast(sum(transactions.sales_value) as decimal(18, 2)) as revenue,
    cast(sum(transactions.quantity) as bigint) as units,
    cast(count(distinct transactions.basket_id) as bigint) as baskets,
    cast(count(distinct transactions.household_id) as bigint) as households
from staging.transactions as transactions
left join staging.products as products on products.product_id = transactions.product_id
group by all
