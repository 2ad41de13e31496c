-- description: One row per day, message and activity, by the day of the event: what was received, opened, clicked and ordered on a day.
--   Unlike campaign_performance it counts by date of the event. People of several days do not add up.
-- key: day, message_id, activity, currency
-- incremental: day
-- column day: Day of the events, in the account's time zone.
-- column message_id: Klaviyo's id of the message.
-- column activity: received, opened, machine_opened, clicked, bounced, dropped, spam, unsubscribed, or ordered (attributed to the message by Klaviyo).
-- column channel: Channel: email, sms, push or whatsapp; null for orders.
-- column flow_id: Flow of the message; null for a message of a campaign.
-- column currency: Currency of the orders; empty for other activities.
-- column events: Number of events.
-- column people: People with such an event.
-- column value: Value of the orders in this currency; null for other activities.
-- metadata received_yesterday: SELECT coalesce(sum(events), 0) FROM message_daily, mart_run WHERE activity = 'received' AND day = today - 1
WITH activity AS (
    SELECT
        live_events.day,
        live_events.message_id,
        if(metric_roles.role = 'opened' AND live_events.machine_open IS TRUE, 'machine_opened', metric_roles.role) AS activity,
        metric_roles.channel,
        live_events.flow_id,
        '' AS currency,
        live_events.profile_id,
        NULL::DOUBLE AS value
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE live_events.message_id IS NOT NULL
        AND metric_roles.role IN ('received', 'opened', 'clicked', 'bounced', 'dropped', 'spam', 'unsubscribed')
    UNION ALL
    SELECT
        live_events.day,
        live_events.attributed_message_id,
        'ordered',
        NULL,
        live_events.attributed_flow_id,
        coalesce(live_events.currency, ''),
        live_events.profile_id,
        live_events.value
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE live_events.attributed_message_id IS NOT NULL AND metric_roles.role = 'revenue'
)
SELECT
    day,
    message_id,
    activity,
    max(channel) AS channel,
    max(flow_id) AS flow_id,
    currency,
    count(*) AS events,
    count(DISTINCT profile_id) AS people,
    round(sum(value), 4) AS value
FROM activity
GROUP BY day, message_id, activity, currency
