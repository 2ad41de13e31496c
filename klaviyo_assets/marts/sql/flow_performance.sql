-- description: One row per flow and month of send: the sums of its messages, as on Klaviyo's screens.
--   Unique counts are people per message, added up over the messages; people counts each person once.
-- key: flow_id, month
-- column month: First day of the month of send, in the account's time zone.
-- column flow_id: Klaviyo's id of the flow.
-- column flow_name: Name of the flow.
-- column status: State of the flow: draft, manual or live.
-- column trigger_type: What starts the flow, such as Metric, Added to List or Date Based.
-- column messages: Messages of the flow that were sent.
-- column people: People who received a message of the flow.
-- column recipients: Messages sent: delivered, bounced and failed ones.
-- column delivered: Messages delivered.
-- column bounced_or_failed: Messages that bounced or failed.
-- column opens: Opens by people, repeated ones included; without opens by machines.
-- column opens_unique: Recipients who opened a message themselves, per message.
-- column open_rate: opens_unique / messages delivered by e-mail.
-- column machine_opens: Opens by machines, such as Apple's Mail Privacy Protection.
-- column clicks: Clicks, repeated ones included.
-- column clicks_unique: Recipients who clicked, per message.
-- column click_rate: clicks_unique / delivered.
-- column unsubscribes: Unsubscribes.
-- column unsubscribe_uniques: Recipients who unsubscribed, per message.
-- column unsubscribe_rate: unsubscribe_uniques / delivered.
-- column spam_complaints: Complaints about spam.
-- column conversions: Orders that Klaviyo attributes to the flow, in any currency.
-- column conversion_uniques: Recipients with such an order, per message.
-- column conversion_rate: conversion_uniques / delivered.
-- column currency: The account's currency.
-- column conversion_value: Value of the attributed orders in the account's currency. Other currencies are in conversion_value_by_currency.
-- column conversion_value_by_currency: Value of the attributed orders by currency; null without any.
-- column average_order_value: conversion_value per attributed order in the account's currency.
-- column revenue_per_recipient: conversion_value / recipients.
-- metadata revenue_of_the_last_month: SELECT sum(conversion_value)
--   FROM flow_performance, mart_run WHERE month = date_trunc('month', today) - INTERVAL 1 MONTH
-- metadata revenue_per_recipient_of_the_last_month: SELECT sum(conversion_value) / nullif(sum(recipients), 0)
--   FROM flow_performance, mart_run WHERE month = date_trunc('month', today) - INTERVAL 1 MONTH
WITH recipients AS (
    SELECT flow_id, month, count(DISTINCT profile_id) AS people FROM fct_flow_sends WHERE sent_at IS NOT NULL GROUP BY flow_id, month
),
amounts AS (
    SELECT flow_id, month, currency, round(sum(value), 4) AS value FROM fct_conversions WHERE flow_id IS NOT NULL GROUP BY flow_id, month, currency
),
by_currency AS (
    SELECT flow_id, month, map_from_entries(list((currency, value) ORDER BY currency) FILTER (currency IS NOT NULL)) AS conversion_value_by_currency
    FROM amounts
    GROUP BY flow_id, month
),
counts AS (
    SELECT
        flow_id,
        month,
        count(DISTINCT message_id) AS messages,
        sum(recipients)::BIGINT AS recipients,
        sum(delivered)::BIGINT AS delivered,
        coalesce(sum(delivered) FILTER (channel = 'email'), 0)::BIGINT AS delivered_by_email,
        sum(bounced + failed)::BIGINT AS bounced_or_failed,
        sum(opens)::BIGINT AS opens,
        sum(opens_unique)::BIGINT AS opens_unique,
        sum(machine_opens)::BIGINT AS machine_opens,
        sum(clicks)::BIGINT AS clicks,
        sum(clicks_unique)::BIGINT AS clicks_unique,
        sum(unsubscribes)::BIGINT AS unsubscribes,
        sum(unsubscribe_uniques)::BIGINT AS unsubscribe_uniques,
        sum(spam_complaints)::BIGINT AS spam_complaints,
        sum(conversions)::BIGINT AS conversions,
        sum(conversion_uniques)::BIGINT AS conversion_uniques,
        sum(conversions_in_currency)::BIGINT AS conversions_in_currency,
        round(sum(conversion_value), 4) AS conversion_value
    FROM message_performance
    WHERE flow_id IS NOT NULL
    GROUP BY flow_id, month
)
SELECT
    counts.month,
    counts.flow_id,
    flows.name AS flow_name,
    flows.status,
    flows.trigger_type,
    counts.messages,
    coalesce(recipients.people, 0) AS people,
    counts.recipients,
    counts.delivered,
    counts.bounced_or_failed,
    counts.opens,
    counts.opens_unique,
    counts.opens_unique / nullif(counts.delivered_by_email, 0) AS open_rate,
    counts.machine_opens,
    counts.clicks,
    counts.clicks_unique,
    counts.clicks_unique / nullif(counts.delivered, 0) AS click_rate,
    counts.unsubscribes,
    counts.unsubscribe_uniques,
    counts.unsubscribe_uniques / nullif(counts.delivered, 0) AS unsubscribe_rate,
    counts.spam_complaints,
    counts.conversions,
    counts.conversion_uniques,
    counts.conversion_uniques / nullif(counts.delivered, 0) AS conversion_rate,
    mart_run.currency,
    counts.conversion_value,
    by_currency.conversion_value_by_currency,
    counts.conversion_value / nullif(counts.conversions_in_currency, 0) AS average_order_value,
    counts.conversion_value / nullif(counts.recipients, 0) AS revenue_per_recipient
FROM counts
CROSS JOIN mart_run
LEFT JOIN recipients ON recipients.flow_id = counts.flow_id AND recipients.month = counts.month
LEFT JOIN by_currency ON by_currency.flow_id = counts.flow_id AND by_currency.month = counts.month
LEFT JOIN flows ON flows.id = counts.flow_id
