-- description: One row per message of a flow that was sent to a person, as often as it was sent, with what the person did until the next one.
--   Flows send a message to the same person many times, so figures by date of send need each send.
-- key: message_id, profile_id, send_number, month
-- incremental: profile_id
-- column message_id: Klaviyo's id of the message.
-- column profile_id: The recipient; null if Klaviyo deleted the profile.
-- column send_number: 1 for the first message to this person, 2 for the second; what happened before the first known send counts as 1.
--   0 if Klaviyo deleted the profile: then no event says which send it belongs to.
-- column variation_id: Id of the A/B variation; empty without one.
-- column flow_id: Flow that sent it.
-- column channel: Channel: email, sms, push or whatsapp.
-- column sent_at: When it was delivered or bounced; null if only later events are known.
-- column month: First day of the month in which it was sent, in the account's time zone; of the event if the send is not known.
-- column delivered: Messages delivered.
-- column bounced: Messages that bounced; text messages that failed.
-- column opens: Opens, also by machines.
-- column human_opens: Opens by people.
-- column machine_opens: Opens by machines, such as Apple's Mail Privacy Protection.
-- column clicks: Clicks.
-- column unsubscribes: Unsubscribes.
-- column spam_complaints: Complaints about spam.
WITH activity AS (
    SELECT
        live_events.message_id,
        live_events.profile_id,
        live_events.variation_id,
        live_events.flow_id,
        live_events.datetime,
        live_events.day,
        metric_roles.channel,
        metric_roles.role,
        live_events.machine_open IS TRUE AS by_machine,
        sum((metric_roles.role IN ('received', 'bounced'))::INTEGER) OVER (
            PARTITION BY live_events.message_id, live_events.profile_id
            ORDER BY live_events.datetime, metric_roles.role NOT IN ('received', 'bounced')
            ROWS UNBOUNDED PRECEDING
        ) AS sends_so_far
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE live_events.flow_id IS NOT NULL
        AND live_events.message_id IS NOT NULL
        AND metric_roles.role IN ('received', 'bounced', 'opened', 'clicked', 'unsubscribed', 'spam')
),
numbered AS (
    SELECT
        *,
        if(profile_id IS NULL, 0, greatest(sends_so_far, 1))::BIGINT AS send_number,
        if(profile_id IS NULL, date_trunc('month', day)::DATE, NULL) AS month_of_event
    FROM activity
)
SELECT
    message_id,
    profile_id,
    send_number,
    coalesce(max(variation_id), '') AS variation_id,
    max(flow_id) AS flow_id,
    max(channel) AS channel,
    min(datetime) FILTER (role IN ('received', 'bounced')) AS sent_at,
    date_trunc('month', coalesce(min(day) FILTER (role IN ('received', 'bounced')), min(day)))::DATE AS month,
    count_if(role = 'received') AS delivered,
    count_if(role = 'bounced') AS bounced,
    count_if(role = 'opened') AS opens,
    count_if(role = 'opened' AND NOT by_machine) AS human_opens,
    count_if(role = 'opened' AND by_machine) AS machine_opens,
    count_if(role = 'clicked') AS clicks,
    count_if(role = 'unsubscribed') AS unsubscribes,
    count_if(role = 'spam') AS spam_complaints
FROM numbered
GROUP BY message_id, profile_id, send_number, month_of_event
