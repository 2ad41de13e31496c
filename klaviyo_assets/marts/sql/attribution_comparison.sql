-- description: One row per order, attribution model and message that gets credit for it. The credits of an order add up to 1 in each model,
--   so sum(value) by model is always the revenue, and sum(value) by model and channel compares the models.
--   Touches are opens by people and clicks of an e-mail in the 5 days before the order, and those of other messages in the 24 hours before;
--   Klaviyo's API does not show the account's own windows.
-- key: order_event_id, model, message_id
-- column order_event_id: The order: id of its event.
-- column model: native (Klaviyo's own), last_touch, last_click, first_touch, or linear (equal shares for all messages touched).
-- column message_id: Message that gets the credit; empty if there is none.
-- column profile_id: The person who ordered.
-- column day: Day of the order, in the account's time zone.
-- column channel: Channel of the message: email, sms, push or whatsapp; null without a message.
-- column kind: Whether the message is of a campaign or a flow; null without a message.
-- column flow_id: Flow of the message.
-- column touch_event_id: The open or click; null without one, or if Klaviyo does not name it.
-- column touched_at: When it took place.
-- column credit: Share of the order that the message gets: 1, or less in the linear model.
-- column currency: Currency of the order.
-- column value: credit × the order's value.
-- metadata attributed_share_native: SELECT sum(credit) FILTER (message_id <> '') / nullif(sum(credit), 0) FROM attribution_comparison WHERE model = 'native'
-- metadata attributed_share_last_touch: SELECT sum(credit) FILTER (message_id <> '') / nullif(sum(credit), 0)
--   FROM attribution_comparison WHERE model = 'last_touch'
-- check credits_that_do_not_add_up: SELECT order_event_id, model, sum(credit) AS credit
--   FROM attribution_comparison GROUP BY order_event_id, model HAVING abs(sum(credit) - 1) > 1e-9
WITH touches AS MATERIALIZED (
    SELECT
        fct_orders.event_id AS order_event_id,
        live_events.id AS touch_event_id,
        live_events.datetime AS touched_at,
        live_events.message_id,
        live_events.flow_id,
        metric_roles.channel,
        metric_roles.role
    FROM live_events
    JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    JOIN fct_orders ON fct_orders.profile_id = live_events.profile_id
        AND live_events.datetime < fct_orders.ordered_at
        AND live_events.datetime >= fct_orders.ordered_at - if(metric_roles.channel = 'email', INTERVAL 120 HOUR, INTERVAL 24 HOUR)
    WHERE live_events.message_id IS NOT NULL
        AND live_events.machine_open IS NOT TRUE
        AND metric_roles.role IN ('opened', 'clicked')
),
chosen AS (
    SELECT *, 'last_click' AS model, 1.0::DOUBLE AS credit
    FROM touches
    WHERE role = 'clicked'
    QUALIFY row_number() OVER (PARTITION BY order_event_id ORDER BY touched_at DESC, touch_event_id DESC) = 1
    UNION ALL
    SELECT *, 'first_touch', 1.0
    FROM touches
    QUALIFY row_number() OVER (PARTITION BY order_event_id ORDER BY touched_at, touch_event_id) = 1
    UNION ALL
    SELECT *, 'linear', 1.0 / count(*) OVER (PARTITION BY order_event_id)
    FROM (
        FROM touches
        QUALIFY row_number() OVER (PARTITION BY order_event_id, message_id ORDER BY touched_at, touch_event_id) = 1
    )
),
of_touches AS (
    SELECT
        fct_orders.event_id AS order_event_id,
        models.model,
        chosen.message_id,
        chosen.channel,
        chosen.flow_id,
        chosen.touch_event_id,
        chosen.touched_at,
        coalesce(chosen.credit, 1) AS credit
    FROM fct_orders
    CROSS JOIN (VALUES ('last_click'), ('first_touch'), ('linear')) AS models (model)
    LEFT JOIN chosen ON chosen.order_event_id = fct_orders.event_id AND chosen.model = models.model
),
credited AS (
    FROM of_touches
    UNION ALL
    SELECT event_id, 'last_touch', window_message_id, window_channel, window_flow_id, window_event_id, window_touched_at, 1.0 FROM fct_orders
    UNION ALL
    SELECT
        fct_orders.event_id,
        'native',
        fct_orders.attributed_message_id,
        fct_orders.attributed_channel,
        fct_orders.attributed_flow_id,
        fct_orders.attributed_event_id,
        live_events.datetime,
        1.0
    FROM fct_orders LEFT JOIN live_events ON live_events.id = fct_orders.attributed_event_id
)
SELECT
    credited.order_event_id,
    credited.model,
    coalesce(credited.message_id, '') AS message_id,
    fct_orders.profile_id,
    fct_orders.day,
    coalesce(credited.channel, dim_message.channel) AS channel,
    if(credited.message_id IS NULL, NULL, if(coalesce(credited.flow_id, dim_message.flow_id) IS NULL, 'campaign', 'flow')) AS kind,
    coalesce(credited.flow_id, dim_message.flow_id) AS flow_id,
    credited.touch_event_id,
    credited.touched_at,
    credited.credit,
    fct_orders.currency,
    credited.credit * fct_orders.value AS value
FROM credited JOIN fct_orders ON fct_orders.event_id = credited.order_event_id
LEFT JOIN dim_message ON dim_message.message_id = credited.message_id
