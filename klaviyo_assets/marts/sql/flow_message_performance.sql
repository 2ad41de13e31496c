-- description: One row per message of a flow, variation and month of send, with the statistics of Klaviyo's reports by their names.
--   What happens later counts in the month in which the message was sent, as on Klaviyo's screens. Do not add up unique counts over months.
-- key: message_id, variation_id, month
-- column month: First day of the month of send, in the account's time zone.
-- column flow_id: Klaviyo's id of the flow.
-- column flow_name: Name of the flow.
-- column message_id: Klaviyo's id of the message.
-- column message_name: Name of the message.
-- column variation_id: Id of the A/B variation; empty without one.
-- column channel: Channel: email, sms, push or whatsapp.
-- column subject: Subject of the e-mail.
-- column tags: Names of the flow's tags.
-- column recipients: Messages sent: delivered, bounced and failed ones.
-- column delivered: Messages delivered.
-- column delivery_rate: delivered / recipients.
-- column bounced: E-mails and push messages that bounced.
-- column bounce_rate: bounced / recipients.
-- column failed: Text messages that failed.
-- column failed_rate: failed / recipients.
-- column bounced_or_failed: Messages that bounced or failed.
-- column bounced_or_failed_rate: bounced_or_failed / recipients.
-- column opens: Opens by people, repeated ones included; without opens by machines.
-- column opens_unique: Recipients who opened the message themselves.
-- column open_rate: opens_unique / delivered; null for SMS, which has no opens.
-- column machine_opens: Opens by machines, such as Apple's Mail Privacy Protection.
-- column opens_unique_with_machines: Recipients with any open, also by a machine. This is Klaviyo's opens_unique, unless the account excludes such opens.
-- column clicks: Clicks, repeated ones included.
-- column clicks_unique: Recipients who clicked.
-- column click_rate: clicks_unique / delivered.
-- column click_to_open_rate: clicks_unique / opens_unique.
-- column unsubscribes: Unsubscribes.
-- column unsubscribe_uniques: Recipients who unsubscribed.
-- column unsubscribe_rate: unsubscribe_uniques / delivered.
-- column spam_complaints: Complaints about spam.
-- column spam_complaint_rate: spam_complaints / delivered.
-- column conversions: Orders that Klaviyo attributes to the message, in any currency.
-- column conversion_uniques: Recipients with such an order.
-- column conversion_rate: conversion_uniques / delivered.
-- column currency: The account's currency.
-- column conversion_value: Value of the attributed orders in the account's currency. Other currencies are in conversion_value_by_currency.
-- column conversion_value_by_currency: Value of the attributed orders by currency; null without any.
-- column average_order_value: conversion_value per attributed order in the account's currency.
-- column revenue_per_recipient: conversion_value / recipients.
-- column message_segment_count_sum: Segments of the text messages; from flow_report_daily, null without it.
-- column text_message_credit_usage_amount: Credits used for text messages; from flow_report_daily, null without it.
-- column text_message_spend: Money spent on text messages; from flow_report_daily, null without it.
-- column text_message_roi: conversion_value / text_message_spend.
-- column equals_klaviyo: Whether Klaviyo's report has the same numbers for the message in the year, see klaviyo_comparison; null without a report.
-- metadata open_rate_of_the_last_month: SELECT sum(opens_unique) / nullif(sum(delivered), 0)
--   FROM flow_message_performance, mart_run WHERE channel = 'email' AND month = date_trunc('month', today) - INTERVAL 1 MONTH
-- metadata revenue_of_the_last_month: SELECT sum(conversion_value)
--   FROM flow_message_performance, mart_run WHERE month = date_trunc('month', today) - INTERVAL 1 MONTH
-- warn equals_klaviyo: SELECT message_id, parent_name, span, window_start, statistic, counted, klaviyo, reason
--   FROM klaviyo_comparison WHERE kind = 'flow' AND NOT is_equal ORDER BY abs(difference) DESC, message_id, span, window_start, statistic
WITH compared AS (
    SELECT message_id, window_start, bool_and(is_equal) AS equals_klaviyo
    FROM klaviyo_comparison
    WHERE kind = 'flow' AND span = 'year'
    GROUP BY message_id, window_start
),
of_day AS (
    SELECT
        flow_message_id AS message_id,
        variation AS variation_id,
        day,
        max(message_segment_count_sum) AS segments,
        max(text_message_credit_usage_amount) AS credits,
        max(text_message_spend) AS spend
    FROM flow_report_daily
    WHERE _deleted_at IS NULL AND send_channel = 'sms'
    GROUP BY flow_message_id, variation, day
),
reported AS (
    SELECT
        message_id,
        variation_id,
        date_trunc('month', day)::DATE AS month,
        sum(segments) AS message_segment_count_sum,
        sum(credits) AS text_message_credit_usage_amount,
        sum(spend) AS text_message_spend
    FROM of_day
    GROUP BY message_id, variation_id, date_trunc('month', day)
)
SELECT
    one.month,
    one.flow_id,
    dim_message.parent_name AS flow_name,
    one.message_id,
    dim_message.message_name,
    one.variation_id,
    coalesce(one.channel, dim_message.channel) AS channel,
    dim_message.subject,
    dim_message.tags,
    one.recipients,
    one.delivered,
    one.delivered / nullif(one.recipients, 0) AS delivery_rate,
    one.bounced,
    one.bounced / nullif(one.recipients, 0) AS bounce_rate,
    one.failed,
    one.failed / nullif(one.recipients, 0) AS failed_rate,
    one.bounced + one.failed AS bounced_or_failed,
    (one.bounced + one.failed) / nullif(one.recipients, 0) AS bounced_or_failed_rate,
    one.opens,
    one.opens_unique,
    if(coalesce(one.channel, dim_message.channel) = 'sms', NULL, one.opens_unique / nullif(one.delivered, 0)) AS open_rate,
    one.machine_opens,
    one.opens_unique_with_machines,
    one.clicks,
    one.clicks_unique,
    one.clicks_unique / nullif(one.delivered, 0) AS click_rate,
    one.clicks_unique / nullif(one.opens_unique, 0) AS click_to_open_rate,
    one.unsubscribes,
    one.unsubscribe_uniques,
    one.unsubscribe_uniques / nullif(one.delivered, 0) AS unsubscribe_rate,
    one.spam_complaints,
    one.spam_complaints / nullif(one.delivered, 0) AS spam_complaint_rate,
    one.conversions,
    one.conversion_uniques,
    one.conversion_uniques / nullif(one.delivered, 0) AS conversion_rate,
    mart_run.currency,
    one.conversion_value,
    one.conversion_value_by_currency,
    one.conversion_value / nullif(one.conversions_in_currency, 0) AS average_order_value,
    one.conversion_value / nullif(one.recipients, 0) AS revenue_per_recipient,
    reported.message_segment_count_sum,
    reported.text_message_credit_usage_amount,
    reported.text_message_spend,
    one.conversion_value / nullif(reported.text_message_spend, 0) AS text_message_roi,
    compared.equals_klaviyo
FROM message_performance AS one
CROSS JOIN mart_run
LEFT JOIN dim_message ON dim_message.message_id = one.message_id
LEFT JOIN compared ON compared.message_id = one.message_id AND compared.window_start = date_trunc('year', one.month)
LEFT JOIN reported
    ON reported.message_id = one.message_id AND reported.variation_id = one.variation_id AND reported.month = one.month
WHERE one.flow_id IS NOT NULL
