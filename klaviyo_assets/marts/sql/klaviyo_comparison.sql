-- description: One row per message, window of the send date and statistic: the number counted from events, and that of Klaviyo's own reports, with the likely
--   reason if they differ. Empty if no report is synced. Windows are the calendar years that the reports have, and the months of flow_report_daily.
--   Conversions are compared if the report counts them by the account's revenue metric, and left out if it counts them by others only.
-- key: kind, span, message_id, window_start, statistic
-- column kind: campaign or flow.
-- column span: year or month.
-- column message_id: Klaviyo's id of the message, with all its variations.
-- column parent_name: Name of the campaign or flow.
-- column window_start: First day of the window, in the account's time zone.
-- column statistic: Name of the statistic in Klaviyo's Reporting API.
-- column counted: The number from events. Opens are those of people, or also of machines, and values those in the account's currency, or of all
--   currencies added up, whichever fits the whole account better: it depends on settings that Klaviyo's API does not show.
-- column klaviyo: The number in Klaviyo's report.
-- column difference: counted - klaviyo.
-- column recent: Number (or value) of the message's events of this statistic and window that may be on one side only: if counted is larger,
--   those since an hour before the report was read; if klaviyo is larger, those within an hour of it.
-- column is_equal: Whether the numbers are equal, apart from recent events.
-- column reason: Likely reason of the difference; null if they are equal.
-- metadata messages_compared: count(DISTINCT message_id)
-- metadata messages_that_differ: count(DISTINCT message_id) FILTER (NOT is_equal)
WITH sent AS (
    SELECT
        if(message_performance.flow_id IS NULL, 'campaign', 'flow') AS kind,
        message_performance.*,
        coalesce(list_sum(map_values(message_performance.conversion_value_by_currency)), 0) AS value_of_all,
        if(
            message_performance.flow_id IS NULL,
            (coalesce(dim_message.sent_at, message_performance.first_sent_at) AT TIME ZONE mart_run.timezone)::DATE,
            message_performance.month
        ) AS sent_on
    FROM message_performance CROSS JOIN mart_run LEFT JOIN dim_message ON dim_message.message_id = message_performance.message_id
),
spans AS (
    SELECT 'year' AS span, date_trunc('year', sent_on)::DATE AS window_start, * FROM sent
    UNION ALL
    SELECT 'month', date_trunc('month', sent_on)::DATE, * FROM sent WHERE kind = 'flow'
),
recipients_of_flows AS (
    SELECT
        message_id,
        date_trunc('year', month)::DATE AS window_start,
        max(opens) AS opens,
        max(human_opens) AS human_opens,
        max(clicks) AS clicks,
        max(unsubscribes) AS unsubscribes
    FROM fct_flow_sends
    GROUP BY message_id, variation_id, profile_id, date_trunc('year', month)
),
people AS (
    SELECT
        message_id,
        window_start,
        count_if(opens > 0) AS openers,
        count_if(human_opens > 0) AS human_openers,
        count_if(clicks > 0) AS clickers,
        count_if(unsubscribes > 0) AS unsubscribers
    FROM recipients_of_flows
    GROUP BY message_id, window_start
),
buyers AS (
    SELECT message_id, date_trunc('year', month)::DATE AS window_start, count(DISTINCT (variation_id, profile_id)) AS buyers
    FROM fct_conversions
    WHERE flow_id IS NOT NULL AND profile_id IS NOT NULL
    GROUP BY message_id, date_trunc('year', month)
),
wide AS (
    SELECT
        spans.kind,
        spans.span,
        spans.message_id,
        spans.window_start,
        sum(recipients) AS recipients,
        sum(delivered) AS delivered,
        sum(bounced) AS bounced,
        sum(failed) AS failed,
        sum(opens) AS human_opens,
        sum(opens + machine_opens) AS opens,
        if(kind = 'campaign', sum(opens_unique), any_value(openers.human_openers)) AS human_opens_unique,
        if(kind = 'campaign', sum(opens_unique_with_machines), any_value(openers.openers)) AS opens_unique,
        sum(clicks) AS clicks,
        if(kind = 'campaign', sum(clicks_unique), any_value(openers.clickers)) AS clicks_unique,
        sum(unsubscribes) AS unsubscribes,
        if(kind = 'campaign', sum(unsubscribe_uniques), any_value(openers.unsubscribers)) AS unsubscribe_uniques,
        sum(spam_complaints) AS spam_complaints,
        sum(conversions) AS conversions,
        if(kind = 'campaign', sum(conversion_uniques), any_value(coalesce(buyers.buyers, 0))) AS conversion_uniques,
        sum(value_of_all) AS conversion_value,
        sum(conversion_value) AS value_in_currency
    FROM spans
    LEFT JOIN people AS openers ON openers.message_id = spans.message_id AND openers.window_start = spans.window_start
    LEFT JOIN buyers ON buyers.message_id = spans.message_id AND buyers.window_start = spans.window_start
    GROUP BY spans.kind, spans.span, spans.message_id, spans.window_start
),
counts AS (
    SELECT kind, span, message_id, window_start, unnest([
        {statistic: 'recipients', number: recipients, alternative: recipients},
        {statistic: 'delivered', number: delivered, alternative: delivered},
        {statistic: 'bounced', number: bounced, alternative: bounced},
        {statistic: 'failed', number: failed, alternative: failed},
        {statistic: 'opens', number: opens, alternative: human_opens},
        {statistic: 'opens_unique', number: opens_unique, alternative: human_opens_unique},
        {statistic: 'clicks', number: clicks, alternative: clicks},
        {statistic: 'clicks_unique', number: clicks_unique, alternative: clicks_unique},
        {statistic: 'unsubscribes', number: unsubscribes, alternative: unsubscribes},
        {statistic: 'unsubscribe_uniques', number: unsubscribe_uniques, alternative: unsubscribe_uniques},
        {statistic: 'spam_complaints', number: spam_complaints, alternative: spam_complaints},
        {statistic: 'conversions', number: conversions, alternative: conversions},
        {statistic: 'conversion_uniques', number: conversion_uniques, alternative: conversion_uniques},
        {statistic: 'conversion_value', number: conversion_value, alternative: value_in_currency}
    ], recursive := true)
    FROM wide
),
reported_counts AS (
    -- A report that counts conversions by other metrics than the account's revenue says nothing of them.
    FROM counts SEMI JOIN klaviyo_reported USING (kind, span, window_start, statistic)
),
revenue AS (
    SELECT
        custom_metrics.id IS NULL AS is_unknown,
        len([filters FOR filters IN (custom_metrics.definition_metric_groups->>'$[*].metric_filters') IF filters <> '[]']) > 0 AS has_conditions,
        len([property FOR property IN (custom_metrics.definition_metric_groups->>'$[*].value_property') IF property <> '$value']) > 0 AS has_other_values
    FROM mapped_metrics LEFT JOIN custom_metrics ON custom_metrics.id = mapped_metrics.custom_metric_id AND custom_metrics._deleted_at IS NULL
    WHERE mapped_metrics.id = 'revenue' AND mapped_metrics._deleted_at IS NULL AND mapped_metrics.custom_metric_id IS NOT NULL
),
both_sides AS (
    SELECT
        kind,
        span,
        message_id,
        window_start,
        statistic,
        counts.message_id IS NOT NULL AS has_events,
        klaviyo_reported.message_id IS NOT NULL AS is_reported,
        coalesce(counts.number, 0)::DOUBLE AS number,
        coalesce(counts.alternative, 0)::DOUBLE AS alternative,
        coalesce(klaviyo_reported.number, 0) AS klaviyo,
        klaviyo_reported.read_at
    FROM reported_counts AS counts FULL JOIN klaviyo_reported USING (kind, span, message_id, window_start, statistic)
    WHERE span = 'year' OR statistic IN ('recipients', 'delivered', 'bounced', 'failed', 'opens', 'clicks', 'unsubscribes', 'spam_complaints', 'conversions', 'conversion_value')
),
windows AS (
    SELECT kind, span, message_id, window_start, max(read_at) AS read_at FROM both_sides GROUP BY kind, span, message_id, window_start
),
reads AS (
    -- A window that Klaviyo's report does not have yet was read together with the message's other windows.
    SELECT * REPLACE (coalesce(read_at, max(read_at) OVER (PARTITION BY kind, message_id)) AS read_at) FROM windows
),
events AS (
    SELECT live_events.message_id, live_events.profile_id, live_events.datetime, live_events.day, metric_roles.role
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE live_events.datetime >= (SELECT min(read_at) - INTERVAL 1 HOUR FROM reads)
        AND live_events.message_id IN (SELECT message_id FROM reads)
        AND metric_roles.role IN ('received', 'bounced', 'opened', 'clicked', 'unsubscribed', 'spam')
),
dated AS (
    -- The month is that of the send, as in the numbers that are compared.
    SELECT events.message_id, events.role, events.datetime, coalesce(sends.month, date_trunc('month', events.day)::DATE) AS month, 0 AS value
    FROM events ASOF LEFT JOIN (SELECT message_id, profile_id, sent_at, month FROM fct_flow_sends WHERE sent_at IS NOT NULL) AS sends
        ON sends.message_id = events.message_id AND sends.profile_id = events.profile_id AND events.datetime >= sends.sent_at
    UNION ALL
    SELECT message_id, 'revenue', ordered_at, month, coalesce(value, 0) FROM fct_conversions
),
recent AS (
    SELECT
        reads.kind,
        reads.span,
        reads.message_id,
        reads.window_start,
        counted_by.statistic,
        sum(if(counted_by.statistic = 'conversion_value', dated.value, 1)) AS since,
        sum(if(counted_by.statistic = 'conversion_value', dated.value, 1)) FILTER (dated.datetime <= reads.read_at + INTERVAL 1 HOUR) AS around
    FROM reads
    JOIN dated ON dated.message_id = reads.message_id
        AND dated.datetime >= reads.read_at - INTERVAL 1 HOUR
        AND (reads.kind = 'campaign' OR date_trunc(reads.span, dated.month) = reads.window_start)
    JOIN (
        VALUES
            ('recipients', 'received'),
            ('recipients', 'bounced'),
            ('delivered', 'received'),
            ('bounced', 'bounced'),
            ('failed', 'bounced'),
            ('opens', 'opened'),
            ('opens_unique', 'opened'),
            ('clicks', 'clicked'),
            ('clicks_unique', 'clicked'),
            ('unsubscribes', 'unsubscribed'),
            ('unsubscribe_uniques', 'unsubscribed'),
            ('spam_complaints', 'spam'),
            ('conversions', 'revenue'),
            ('conversion_uniques', 'revenue'),
            ('conversion_value', 'revenue')
    ) AS counted_by (statistic, role) ON counted_by.role = dated.role
    GROUP BY reads.kind, reads.span, reads.message_id, reads.window_start, counted_by.statistic
),
fitting AS (
    SELECT
        *,
        if(
            sum(abs(alternative - klaviyo)) OVER (PARTITION BY statistic) < sum(abs(number - klaviyo)) OVER (PARTITION BY statistic),
            alternative,
            number
        ) AS counted
    FROM both_sides
),
compared AS (
    SELECT
        fitting.*,
        -- Events after the report was read are in the tables only: they cannot explain why Klaviyo has more.
        coalesce(if(fitting.counted < fitting.klaviyo, recent.around, recent.since), 0)::DOUBLE AS recent,
        dim_message.parent_name,
        (dim_message.sent_at AT TIME ZONE mart_run.timezone)::DATE AS sent_on,
        (fitting.window_start + if(fitting.span = 'year', INTERVAL 1 YEAR, INTERVAL 1 MONTH))::DATE AS end_of_window,
        dim_message.message_id IS NULL OR dim_message.is_deleted AS is_deleted
    FROM fitting
    CROSS JOIN mart_run
    LEFT JOIN recent ON recent.kind = fitting.kind AND recent.span = fitting.span AND recent.message_id = fitting.message_id
        AND recent.window_start = fitting.window_start AND recent.statistic = fitting.statistic
    LEFT JOIN dim_message ON dim_message.message_id = fitting.message_id
),
judged AS (
    SELECT
        *,
        abs(counted - klaviyo) <= recent + 0.005 AS is_equal,
        min(statistic) FILTER (abs(counted - klaviyo) > recent + 0.005 AND statistic NOT LIKE 'click%') OVER message IS NULL AS only_clicks,
        min(statistic) FILTER (abs(counted - klaviyo) > recent + 0.005 AND statistic NOT LIKE 'conversion%') OVER message IS NULL AS only_conversions,
        min(statistic) FILTER (abs(counted - klaviyo) > recent + 0.005 AND statistic NOT LIKE '%unique%') OVER message IS NULL AS only_uniques,
        sum(counted) FILTER (statistic = 'recipients') OVER message AS recipients
    FROM compared
    WINDOW message AS (PARTITION BY kind, span, message_id, window_start)
),
oldest AS (
    SELECT min(datetime) AS oldest_event FROM live_events
)
SELECT
    judged.kind,
    judged.span,
    judged.message_id,
    judged.parent_name,
    judged.window_start,
    judged.statistic,
    judged.counted,
    judged.klaviyo,
    judged.counted - judged.klaviyo AS difference,
    judged.recent,
    judged.is_equal,
    CASE
        WHEN judged.is_equal THEN NULL
        WHEN NOT judged.is_reported AND judged.is_deleted THEN 'deleted message: Klaviyo''s report no longer has it'
        WHEN NOT judged.is_reported THEN 'the report does not have this message: it was read before the message was sent, or leaves the message out'
        WHEN judged.difference < 0 AND coalesce(judged.sent_on, judged.end_of_window) <= (oldest.oldest_event AT TIME ZONE mart_run.timezone)::DATE
            THEN 'sent before the oldest stored event'
        WHEN (NOT judged.has_events OR judged.recipients = 0) AND judged.is_deleted THEN 'deleted message: its events name no message that is stored'
        WHEN NOT judged.has_events OR judged.recipients = 0 THEN 'no send of this message is stored: events are missing'
        WHEN judged.only_clicks AND judged.difference > 0 THEN 'bot clicks: events have them, reports leave them out if the account says so'
        WHEN judged.only_conversions AND revenue.is_unknown
            THEN 'the revenue metric is a custom metric, and the marts do not know which events it counts: sync the type custom_metrics'
        WHEN judged.only_conversions AND revenue.has_conditions
            THEN 'the revenue metric is a custom metric, and the marts do not apply its conditions'
        WHEN judged.only_conversions AND judged.statistic = 'conversion_value' AND revenue.has_other_values
            THEN 'the revenue metric is a custom metric that adds up another property than $value, and the marts add up $value'
        WHEN judged.only_conversions THEN 'late attribution: Klaviyo attributed or detached orders after one side was read, or the orders have several currencies'
        WHEN judged.only_uniques THEN 'merged or deleted profiles: people are counted differently'
        WHEN judged.difference < 0 THEN 'events are missing: they arrived late, or belong to deleted profiles'
        ELSE 'events that the report leaves out, or that were stored after it was read'
    END AS reason
FROM (SELECT *, counted - klaviyo AS difference FROM judged) AS judged
CROSS JOIN mart_run
CROSS JOIN oldest
LEFT JOIN revenue ON true
