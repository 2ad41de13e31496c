-- description: Klaviyo's own figures, one row per message, window of the send date and statistic, from campaign_report, flow_report and flow_report_daily.
--   Numbers of all variations together. Empty if none of these tables is synced.
-- key: kind, span, message_id, window_start, statistic
-- column kind: campaign or flow.
-- column span: year (campaign_report, flow_report) or month (the days of flow_report_daily, without statistics that do not add up).
-- column message_id: Klaviyo's id of the message.
-- column window_start: First day of the window, in the account's time zone.
-- column statistic: Name of the statistic in Klaviyo's Reporting API.
-- column number: Klaviyo's number. Conversions are those of the account's revenue metric, which may be a custom metric; a report that counts them by
--   other metrics only (KLAVIYO_CONVERSION_METRIC_IDS) has no rows of conversions here.
-- column read_at: When the numbers were read.
WITH campaigns_by_year AS (
    SELECT campaign_message_id AS message_id, window_start, conversion_metric_id, _synced_at, unnest([
        {statistic: 'recipients', number: recipients},
        {statistic: 'delivered', number: delivered},
        {statistic: 'bounced', number: bounced},
        {statistic: 'failed', number: failed},
        {statistic: 'opens', number: opens},
        {statistic: 'opens_unique', number: opens_unique},
        {statistic: 'clicks', number: clicks},
        {statistic: 'clicks_unique', number: clicks_unique},
        {statistic: 'unsubscribes', number: unsubscribes},
        {statistic: 'unsubscribe_uniques', number: unsubscribe_uniques},
        {statistic: 'spam_complaints', number: spam_complaints},
        {statistic: 'conversions', number: conversions},
        {statistic: 'conversion_uniques', number: conversion_uniques},
        {statistic: 'conversion_value', number: conversion_value}
    ], recursive := true)
    FROM campaign_report
    WHERE _deleted_at IS NULL
),
flows_by_year AS (
    SELECT flow_message_id AS message_id, window_start, conversion_metric_id, _synced_at, unnest([
        {statistic: 'recipients', number: recipients},
        {statistic: 'delivered', number: delivered},
        {statistic: 'bounced', number: bounced},
        {statistic: 'failed', number: failed},
        {statistic: 'opens', number: opens},
        {statistic: 'opens_unique', number: opens_unique},
        {statistic: 'clicks', number: clicks},
        {statistic: 'clicks_unique', number: clicks_unique},
        {statistic: 'unsubscribes', number: unsubscribes},
        {statistic: 'unsubscribe_uniques', number: unsubscribe_uniques},
        {statistic: 'spam_complaints', number: spam_complaints},
        {statistic: 'conversions', number: conversions},
        {statistic: 'conversion_uniques', number: conversion_uniques},
        {statistic: 'conversion_value', number: conversion_value}
    ], recursive := true)
    FROM flow_report
    WHERE _deleted_at IS NULL
),
flows_by_month AS (
    SELECT flow_message_id AS message_id, date_trunc('month', day)::DATE AS window_start, conversion_metric_id, _synced_at, unnest([
        {statistic: 'recipients', number: recipients},
        {statistic: 'delivered', number: delivered},
        {statistic: 'bounced', number: bounced},
        {statistic: 'failed', number: failed},
        {statistic: 'opens', number: opens},
        {statistic: 'clicks', number: clicks},
        {statistic: 'unsubscribes', number: unsubscribes},
        {statistic: 'spam_complaints', number: spam_complaints},
        {statistic: 'conversions', number: conversions},
        {statistic: 'conversion_value', number: conversion_value}
    ], recursive := true)
    FROM flow_report_daily
    WHERE _deleted_at IS NULL
),
reports AS (
    SELECT 'campaign' AS kind, 'year' AS span, * FROM campaigns_by_year
    UNION ALL
    SELECT 'flow', 'year', * FROM flows_by_year
    UNION ALL
    SELECT 'flow', 'month', * FROM flows_by_month
),
of_metric AS (
    SELECT kind, span, message_id, window_start, statistic, conversion_metric_id, sum(number) AS number, max(_synced_at) AS read_at
    FROM reports
    GROUP BY kind, span, message_id, window_start, statistic, conversion_metric_id
),
custom_revenue AS (
    -- Reports name the custom metric itself, not the metrics that it consists of.
    SELECT custom_metric_id FROM mapped_metrics WHERE id = 'revenue' AND _deleted_at IS NULL AND custom_metric_id IS NOT NULL
),
revenue AS (
    FROM custom_revenue
    UNION ALL
    SELECT metric_id FROM metric_roles WHERE role = 'revenue' AND NOT EXISTS (FROM custom_revenue)
)

-- The same message is in the report once for each conversion metric: other statistics are the same in all of them, except in rows of a metric that
-- conversions are no longer counted by, which keep old numbers.
SELECT kind, span, message_id, window_start, statistic, arg_max(number, read_at) AS number, max(read_at) AS read_at
FROM of_metric
WHERE NOT starts_with(statistic, 'conversion') OR conversion_metric_id IN (FROM revenue)
GROUP BY kind, span, message_id, window_start, statistic
