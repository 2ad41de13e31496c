-- description: One row per day, message and activity of its recipients, by the day of the event. message_daily has the orders too.
-- key: day, message_id, activity
-- incremental: day
-- column day: Day of the events, in the account's time zone.
-- column message_id: Klaviyo's id of the message.
-- column activity: received, opened, machine_opened, clicked, bounced, dropped, spam or unsubscribed.
-- column channel: Channel: email, sms, push or whatsapp.
-- column flow_id: Flow of the message; null for a message of a campaign.
-- column events: Number of events.
-- column people: People with such an event.
-- metadata received_yesterday: SELECT coalesce(sum(events), 0) FROM message_activity_daily, mart_run WHERE activity = 'received' AND day = today - 1
WITH activity AS (
    SELECT
        live_events.day,
        live_events.message_id,
        if(metric_roles.role = 'opened' AND live_events.machine_open IS TRUE, 'machine_opened', metric_roles.role) AS activity,
        metric_roles.channel,
        live_events.flow_id,
        live_events.profile_id
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE live_events.message_id IS NOT NULL
        AND metric_roles.role IN ('received', 'opened', 'clicked', 'bounced', 'dropped', 'spam', 'unsubscribed')
)
SELECT
    day,
    message_id,
    activity,
    max(channel) AS channel,
    max(flow_id) AS flow_id,
    count(*) AS events,
    count(DISTINCT profile_id) AS people
FROM activity
GROUP BY day, message_id, activity
