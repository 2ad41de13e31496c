-- description: One row per checkout that was started, and whether the person ordered within 7 days. The checkouts that a person started in the
--   7 days before an order are one attempt to buy: who comes back to an abandoned checkout starts another one. The last of them has the outcome.
-- key: event_id
-- column event_id: The checkout: id of its event.
-- column profile_id: The person; null if Klaviyo deleted the profile.
-- column started_at: When the checkout was started.
-- column day: Day on which it was started, in the account's time zone.
-- column value: Value of the checkout.
-- column currency: Its currency.
-- column outcome: direct (ordered without help of a flow), recovered (ordered after opening or clicking a message of a flow that was touched after the
--   first checkout of the attempt and gets the credit for the order), replaced (the person started another checkout within 7 days, before any order),
--   abandoned (no order within 7 days), open (started less than 7 days ago, no order yet), or unknown (no profile).
-- column order_event_id: The order; null without one.
-- column ordered_at: When it was placed.
-- column order_value: Value of the order, in order_currency.
-- column order_currency: Currency of the order.
-- column flow_id: Flow that recovered the checkout.
-- column message_id: Message of the flow.
-- metadata recovery_rate_of_the_last_30_days: SELECT count_if(outcome = 'recovered') / nullif(count_if(outcome IN ('recovered', 'abandoned')), 0)
--   FROM checkout_recovery, mart_run WHERE day BETWEEN today - 30 AND today - 1
WITH checkouts AS (
    SELECT
        live_events.id AS event_id,
        live_events.profile_id,
        live_events.datetime AS started_at,
        live_events.day,
        live_events.value,
        live_events.currency,
        lead(live_events.datetime) OVER (PARTITION BY live_events.profile_id ORDER BY live_events.datetime, live_events.id) AS next_started_at
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE metric_roles.role = 'started_checkout'
),
credited AS (
    SELECT
        fct_orders.event_id,
        fct_orders.profile_id,
        fct_orders.ordered_at,
        fct_orders.value,
        fct_orders.currency,
        native.flow_id AS native_flow_id,
        native.message_id AS native_message_id,
        native.touched_at AS native_touched_at,
        fct_orders.window_flow_id,
        fct_orders.window_message_id,
        fct_orders.window_touched_at
    FROM fct_orders
    LEFT JOIN attribution_comparison AS native ON native.order_event_id = fct_orders.event_id AND native.model = 'native' AND native.message_id <> ''
),
orders AS (
    SELECT
        event_id,
        profile_id,
        ordered_at,
        value,
        currency,
        if(native_message_id IS NOT NULL, native_flow_id, window_flow_id) AS flow_id,
        if(native_message_id IS NOT NULL, native_message_id, window_message_id) AS message_id,
        if(native_message_id IS NOT NULL, coalesce(native_touched_at, window_touched_at), window_touched_at) AS touched_at
    FROM credited
),
matched AS (
    SELECT
        checkouts.*,
        orders.event_id AS next_order_event_id,
        orders.ordered_at,
        orders.value AS order_value,
        orders.currency AS order_currency,
        orders.flow_id,
        orders.message_id,
        orders.touched_at,
        coalesce(orders.ordered_at <= checkouts.started_at + INTERVAL 7 DAY, FALSE) AS has_order
    FROM checkouts ASOF LEFT JOIN orders ON orders.profile_id = checkouts.profile_id AND checkouts.started_at <= orders.ordered_at
),
attempts AS (
    SELECT *, min(started_at) FILTER (has_order) OVER (PARTITION BY profile_id, ordered_at) AS first_started_at FROM matched
),
judged AS (
    SELECT
        attempts.*,
        CASE
            WHEN attempts.profile_id IS NULL THEN 'unknown'
            WHEN attempts.next_started_at <= least(attempts.started_at + INTERVAL 7 DAY, if(attempts.has_order, attempts.ordered_at, NULL)) THEN 'replaced'
            WHEN attempts.has_order AND attempts.flow_id IS NOT NULL AND attempts.touched_at BETWEEN attempts.first_started_at AND attempts.ordered_at
                THEN 'recovered'
            WHEN attempts.has_order THEN 'direct'
            WHEN attempts.started_at > mart_run.now - INTERVAL 7 DAY THEN 'open'
            ELSE 'abandoned'
        END AS outcome
    FROM attempts CROSS JOIN mart_run
)
SELECT
    event_id,
    profile_id,
    started_at,
    day,
    value,
    currency,
    outcome,
    if(outcome IN ('direct', 'recovered'), next_order_event_id, NULL) AS order_event_id,
    if(outcome IN ('direct', 'recovered'), ordered_at, NULL) AS ordered_at,
    if(outcome IN ('direct', 'recovered'), order_value, NULL) AS order_value,
    if(outcome IN ('direct', 'recovered'), order_currency, NULL) AS order_currency,
    if(outcome = 'recovered', flow_id, NULL) AS flow_id,
    if(outcome = 'recovered', message_id, NULL) AS message_id
FROM judged
