-- description: One row per day, message and activity, by the day of the event: what was received, opened, clicked and ordered on a day.
--   Unlike campaign_performance it counts by date of the event; over all days both have the same orders and value. People of several days do not add up.
-- key: day, message_id, activity, currency
-- column day: Day of the events, in the account's time zone.
-- column message_id: Klaviyo's id of the message.
-- column activity: received, opened, machine_opened, clicked, bounced, dropped, spam, unsubscribed, or ordered (fct_conversions: orders that Klaviyo attributes to the message).
-- column channel: Channel: email, sms, push or whatsapp; null for orders.
-- column flow_id: Flow of the message; null for a message of a campaign.
-- column currency: Currency of the orders; empty for other activities.
-- column events: Number of events; of orders, for the activity ordered.
-- column people: People with such an event.
-- column value: Value of the orders in this currency; null for other activities.
-- metadata received_yesterday: SELECT coalesce(sum(events), 0) FROM message_daily, mart_run WHERE activity = 'received' AND day = today - 1
WITH ordered AS (
    SELECT
        fct_orders.day,
        fct_conversions.message_id,
        fct_conversions.flow_id,
        coalesce(fct_conversions.currency, '') AS currency,
        fct_conversions.profile_id,
        fct_conversions.value
    -- The same orders as in the performance marts: of some, only the open or click that Klaviyo names says which message it was.
    FROM fct_conversions JOIN fct_orders ON fct_orders.event_id = fct_conversions.order_event_id
)
SELECT day, message_id, activity, channel, flow_id, '' AS currency, events, people, NULL::DOUBLE AS value
FROM message_activity_daily
UNION ALL
SELECT
    day,
    message_id,
    'ordered',
    NULL,
    max(flow_id),
    currency,
    count(*),
    count(DISTINCT profile_id),
    round(sum(value), 4)
FROM ordered
GROUP BY day, message_id, currency
