select
    coalesce(demographics.income, 'unknown') as income,
    cast(count(distinct transactions.household_id) as bigint) as households,
    cast(count(distinct transactions.basket_id) as bigint) as baskets,
    cast(sum(transactions.sales_value) as decimal(18, 2)) as spend,
    cast(
        round(sum(transactions.sales_value) / count(distinct transactions.basket_id), 2)
        as decimal(18, 2)
    ) as mean_basket
from staging.transactions as transactions
left join staging.demographics as demographics
    on demographics.household_id = transactions.household_id
group by all
