-- description: One row per profile: what the person ordered, RFM scores and tier, and how the person engages with messages.
--   The scores compare customers of the same currency; 5 is best. Profiles without orders have no scores.
-- key: profile_id
-- column profile_id: Klaviyo's id of the profile.
-- column orders: Orders, in any currency.
-- column currency: Currency of most of the person's orders.
-- column value: Value of the orders in this currency.
-- column average_order_value: Average value of the orders in this currency.
-- column refunded_value: Refunded value of the orders in this currency.
-- column first_order_at: When the first order was placed.
-- column last_order_at: When the last order was placed.
-- column days_since_last_order: Whole days since then.
-- column average_days_between_orders: Average number of days between orders; null with only one.
-- column recency_score: 1 to 5, by days_since_last_order.
-- column frequency_score: 1 to 5, by orders.
-- column monetary_score: 1 to 5, by value.
-- column rfm: The three scores, such as 545.
-- column tier: champion (recency and frequency at least 4), loyal (frequency at least 4), new (one order, recency at least 4),
--   promising (recency at least 3), at_risk (recency at most 2, frequency at least 3), lapsed (other customers), or prospect (no order).
-- column messages_received: Messages received.
-- column last_received_at: When the last message was delivered.
-- column last_opened_at: When the person last opened an e-mail; without opens by machines.
-- column last_clicked_at: When the person last clicked in a message.
-- column engagement: active_30, active_90, active_180 (last open or click within so many days), inactive (longer ago),
--   never (no open or click of a received message), or no_messages.
-- metadata customers: count_if(orders > 0)
-- metadata repeat_rate: count_if(orders > 1) / nullif(count_if(orders > 0), 0)
-- metadata engaged_in_30_days: count_if(engagement = 'active_30')
WITH by_currency AS (
    SELECT
        profile_id,
        currency,
        count(*) AS orders,
        round(sum(value), 4) AS value,
        round(coalesce(sum(refunded_value), 0), 4) AS refunded_value
    FROM fct_orders
    WHERE profile_id IS NOT NULL
    GROUP BY profile_id, currency
),
main_currency AS (
    FROM by_currency
    QUALIFY row_number() OVER (PARTITION BY profile_id ORDER BY orders DESC, currency) = 1
),
customers AS (
    SELECT profile_id, count(*) AS orders, min(ordered_at) AS first_order_at, max(ordered_at) AS last_order_at
    FROM fct_orders
    WHERE profile_id IS NOT NULL
    GROUP BY profile_id
),
scored AS (
    SELECT
        customers.*,
        main_currency.currency,
        main_currency.value,
        main_currency.orders AS orders_in_currency,
        main_currency.refunded_value,
        least(5, 1 + floor(5 * percent_rank() OVER (PARTITION BY main_currency.currency ORDER BY customers.last_order_at)))::BIGINT AS recency_score,
        least(5, 1 + floor(5 * percent_rank() OVER (PARTITION BY main_currency.currency ORDER BY customers.orders)))::BIGINT AS frequency_score,
        least(5, 1 + floor(5 * percent_rank() OVER (PARTITION BY main_currency.currency ORDER BY main_currency.value)))::BIGINT AS monetary_score
    FROM customers JOIN main_currency USING (profile_id)
),
engagement AS (
    SELECT
        profile_id,
        sum(delivered)::BIGINT AS messages_received,
        max(last_delivered_at) AS last_received_at,
        max(last_human_opened_at) AS last_opened_at,
        max(last_clicked_at) AS last_clicked_at
    FROM fct_message_profile
    WHERE profile_id IS NOT NULL
    GROUP BY profile_id
),
people AS (
    SELECT profile_id FROM dim_profile
    UNION SELECT profile_id FROM customers
    UNION SELECT profile_id FROM engagement
)
SELECT
    people.profile_id,
    coalesce(scored.orders, 0) AS orders,
    scored.currency,
    coalesce(scored.value, 0) AS value,
    scored.value / scored.orders_in_currency AS average_order_value,
    coalesce(scored.refunded_value, 0) AS refunded_value,
    scored.first_order_at,
    scored.last_order_at,
    datediff('second', scored.last_order_at, mart_run.now) // 86400 AS days_since_last_order,
    datediff('second', scored.first_order_at, scored.last_order_at) / 86400 / nullif(scored.orders - 1, 0) AS average_days_between_orders,
    scored.recency_score,
    scored.frequency_score,
    scored.monetary_score,
    scored.recency_score || '' || scored.frequency_score || scored.monetary_score AS rfm,
    CASE
        WHEN scored.orders IS NULL THEN 'prospect'
        WHEN scored.recency_score >= 4 AND scored.orders = 1 THEN 'new'
        WHEN scored.recency_score >= 4 AND scored.frequency_score >= 4 THEN 'champion'
        WHEN scored.recency_score <= 2 AND scored.frequency_score >= 3 THEN 'at_risk'
        WHEN scored.frequency_score >= 4 THEN 'loyal'
        WHEN scored.recency_score >= 3 THEN 'promising'
        ELSE 'lapsed'
    END AS tier,
    coalesce(engagement.messages_received, 0) AS messages_received,
    engagement.last_received_at,
    engagement.last_opened_at,
    engagement.last_clicked_at,
    CASE
        WHEN greatest(engagement.last_opened_at, engagement.last_clicked_at) >= mart_run.now - INTERVAL 30 DAY THEN 'active_30'
        WHEN greatest(engagement.last_opened_at, engagement.last_clicked_at) >= mart_run.now - INTERVAL 90 DAY THEN 'active_90'
        WHEN greatest(engagement.last_opened_at, engagement.last_clicked_at) >= mart_run.now - INTERVAL 180 DAY THEN 'active_180'
        WHEN greatest(engagement.last_opened_at, engagement.last_clicked_at) IS NOT NULL THEN 'inactive'
        WHEN engagement.messages_received > 0 THEN 'never'
        ELSE 'no_messages'
    END AS engagement
FROM people
CROSS JOIN mart_run
LEFT JOIN scored USING (profile_id)
LEFT JOIN engagement USING (profile_id)
