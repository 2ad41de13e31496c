-- description: One row per cohort (the people whose first order was in a month) and number of months after it.
--   A customer whose first order is older than the stored events appears in a later cohort.
-- key: cohort_month, months_later
-- column cohort_month: First day of the month of the first order, in the account's time zone.
-- column months_later: Months after that month; 0 is the month itself.
-- column cohort_size: People of the cohort.
-- column customers: Those who ordered in this month.
-- column retention: customers / cohort_size.
-- column orders: Orders of the cohort in this month.
-- column orders_so_far: Orders of the cohort up to this month.
-- column currency: The account's currency.
-- column value: Value of these orders in the account's currency. Other currencies are in value_by_currency.
-- column value_by_currency: Value of these orders by currency; null without any.
-- column is_complete: Whether the month is over.
-- metadata retention_after_one_month: SELECT sum(customers) / nullif(sum(cohort_size), 0)
--   FROM cohort_retention WHERE months_later = 1 AND is_complete
WITH orders AS (
    SELECT
        profile_id,
        date_trunc('month', day)::DATE AS month,
        (min(date_trunc('month', day)) OVER (PARTITION BY profile_id))::DATE AS cohort_month,
        value,
        currency
    FROM fct_orders
    WHERE profile_id IS NOT NULL
),
sizes AS (
    SELECT cohort_month, count(DISTINCT profile_id) AS cohort_size FROM orders GROUP BY cohort_month
),
grid AS (
    SELECT
        sizes.cohort_month,
        sizes.cohort_size,
        unnest(range(datediff('month', sizes.cohort_month, mart_run.today) + 1)) AS months_later
    FROM sizes CROSS JOIN mart_run
),
counts AS (
    SELECT
        cohort_month,
        datediff('month', cohort_month, month) AS months_later,
        count(DISTINCT profile_id) AS customers,
        count(*) AS orders
    FROM orders
    GROUP BY ALL
),
amounts AS (
    SELECT cohort_month, datediff('month', cohort_month, month) AS months_later, currency, round(sum(value), 4) AS value
    FROM orders
    GROUP BY ALL
),
money AS (
    SELECT
        cohort_month,
        months_later,
        sum(amounts.value) FILTER (amounts.currency = mart_run.currency) AS value,
        map_from_entries(list((amounts.currency, amounts.value) ORDER BY amounts.currency) FILTER (amounts.currency IS NOT NULL)) AS value_by_currency
    FROM amounts CROSS JOIN mart_run
    GROUP BY cohort_month, months_later
)
SELECT
    grid.cohort_month,
    grid.months_later,
    grid.cohort_size,
    coalesce(counts.customers, 0) AS customers,
    coalesce(counts.customers, 0) / grid.cohort_size AS retention,
    coalesce(counts.orders, 0) AS orders,
    (sum(coalesce(counts.orders, 0)) OVER (PARTITION BY grid.cohort_month ORDER BY grid.months_later))::BIGINT AS orders_so_far,
    mart_run.currency,
    coalesce(money.value, 0) AS value,
    money.value_by_currency,
    grid.cohort_month + to_months(grid.months_later::INTEGER + 1) <= mart_run.today AS is_complete
FROM grid
CROSS JOIN mart_run
LEFT JOIN counts ON counts.cohort_month = grid.cohort_month AND counts.months_later = grid.months_later
LEFT JOIN money ON money.cohort_month = grid.cohort_month AND money.months_later = grid.months_later
