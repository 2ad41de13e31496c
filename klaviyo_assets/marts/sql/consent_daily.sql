-- description: One row per day and channel: how many people gave and withdrew their consent to marketing, by the events of the day.
--   Imports and changes through Klaviyo's API leave no event; dim_profile has the present state.
-- key: day, channel
-- incremental: day
-- column day: Day, in the account's time zone.
-- column channel: Channel: email, sms, push or whatsapp.
-- column subscribed: People who subscribed.
-- column unsubscribed: People who unsubscribed.
-- column spam_complaints: People who marked a message as spam.
-- column net: subscribed - unsubscribed.
-- metadata net_growth_yesterday: SELECT coalesce(sum(net), 0) FROM consent_daily, mart_run WHERE channel = 'email' AND day = today - 1
-- metadata net_growth_of_the_last_30_days: SELECT coalesce(sum(net), 0)
--   FROM consent_daily, mart_run WHERE channel = 'email' AND day BETWEEN today - 30 AND today - 1
WITH changes AS (
    SELECT live_events.day, metric_roles.channel, metric_roles.role, live_events.profile_id, live_events.id
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE metric_roles.role IN ('subscribed', 'unsubscribed', 'spam') AND metric_roles.channel IS NOT NULL
)
SELECT
    day,
    channel,
    count(DISTINCT coalesce(profile_id, id)) FILTER (role = 'subscribed') AS subscribed,
    count(DISTINCT coalesce(profile_id, id)) FILTER (role = 'unsubscribed') AS unsubscribed,
    count(DISTINCT coalesce(profile_id, id)) FILTER (role = 'spam') AS spam_complaints,
    count(DISTINCT coalesce(profile_id, id)) FILTER (role = 'subscribed')
        - count(DISTINCT coalesce(profile_id, id)) FILTER (role = 'unsubscribed') AS net
FROM changes
GROUP BY day, channel
