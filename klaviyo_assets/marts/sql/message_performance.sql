-- description: One row per message, variation and month of send, with the counts of all that has happened to these sends since.
--   campaign_performance, flow_message_performance and flow_performance add names and rates.
-- key: message_id, variation_id, month
-- column message_id: Klaviyo's id of the message.
-- column variation_id: Id of the A/B variation; empty without one.
-- column month: First day of the month of send, in the account's time zone; null for a message of a campaign, which is sent once.
-- column flow_id: Flow of the message; null for a message of a campaign.
-- column channel: Channel: email, sms, push or whatsapp.
-- column first_sent_at: When the first of these messages was delivered or bounced.
-- column recipients: Messages sent: delivered, bounced and failed ones.
-- column delivered: Messages delivered.
-- column bounced: E-mails and push messages that bounced.
-- column failed: Text messages that failed.
-- column opens: Opens by people, repeated ones included; without opens by machines.
-- column opens_unique: Recipients who opened the message themselves.
-- column machine_opens: Opens by machines, such as Apple's Mail Privacy Protection.
-- column opens_unique_with_machines: Recipients with any open, also by a machine.
-- column clicks: Clicks, repeated ones included.
-- column clicks_unique: Recipients who clicked.
-- column unsubscribes: Unsubscribes.
-- column unsubscribe_uniques: Recipients who unsubscribed.
-- column spam_complaints: Complaints about spam.
-- column conversions: Orders that Klaviyo attributes to the message, in any currency.
-- column conversion_uniques: Recipients with such an order.
-- column conversions_in_currency: Such orders in the account's currency.
-- column conversion_value: Their value in the account's currency. Other currencies are in conversion_value_by_currency.
-- column conversion_value_by_currency: Value of the attributed orders by currency; null without any.
-- check more_people_than_actions: SELECT message_id, variation_id, month FROM message_performance
--   WHERE opens_unique > opens OR clicks_unique > clicks OR conversion_uniques > conversions OR delivered > recipients
WITH per_person AS (
    SELECT
        message_id, variation_id, NULL::DATE AS month, NULL::VARCHAR AS flow_id, channel, sent_at,
        delivered, bounces AS bounced, opens, human_opens, machine_opens, clicks, unsubscribes, spam_complaints
    FROM fct_message_profile
    WHERE flow_id IS NULL AND channel IS NOT NULL
    UNION ALL
    SELECT
        message_id, variation_id, month, max(flow_id), max(channel), min(sent_at),
        sum(delivered), sum(bounced), sum(opens), sum(human_opens), sum(machine_opens), sum(clicks), sum(unsubscribes), sum(spam_complaints)
    FROM fct_flow_sends
    GROUP BY message_id, variation_id, month, profile_id
),
activity AS (
    SELECT
        message_id,
        variation_id,
        month,
        max(flow_id) AS flow_id,
        max(channel) AS channel,
        min(sent_at) AS first_sent_at,
        sum(delivered) AS delivered,
        sum(bounced) AS bounced_or_failed,
        sum(human_opens) AS opens,
        count_if(human_opens > 0) AS opens_unique,
        sum(machine_opens) AS machine_opens,
        count_if(opens > 0) AS opens_unique_with_machines,
        sum(clicks) AS clicks,
        count_if(clicks > 0) AS clicks_unique,
        sum(unsubscribes) AS unsubscribes,
        count_if(unsubscribes > 0) AS unsubscribe_uniques,
        sum(spam_complaints) AS spam_complaints
    FROM per_person
    GROUP BY message_id, variation_id, month
),
converted AS (
    SELECT message_id, variation_id, if(flow_id IS NULL, NULL, month) AS month, flow_id, profile_id, currency, value FROM fct_conversions
),
orders AS (
    SELECT message_id, variation_id, month, max(flow_id) AS flow_id, count(*) AS conversions, count(DISTINCT profile_id) AS conversion_uniques
    FROM converted
    GROUP BY message_id, variation_id, month
),
money AS (
    SELECT message_id, variation_id, month, currency, count(*) AS orders, round(sum(value), 4) AS value
    FROM converted
    GROUP BY message_id, variation_id, month, currency
),
amounts AS (
    SELECT
        money.message_id,
        money.variation_id,
        money.month,
        sum(money.orders) FILTER (money.currency = mart_run.currency) AS conversions_in_currency,
        sum(money.value) FILTER (money.currency = mart_run.currency) AS conversion_value,
        map_from_entries(list((money.currency, money.value) ORDER BY money.currency) FILTER (money.currency IS NOT NULL)) AS conversion_value_by_currency
    FROM money CROSS JOIN mart_run
    GROUP BY money.message_id, money.variation_id, money.month
),
together AS (
    FROM activity UNION ALL BY NAME FROM orders UNION ALL BY NAME FROM amounts
)
SELECT
    message_id,
    variation_id,
    month,
    max(flow_id) AS flow_id,
    max(channel) AS channel,
    min(first_sent_at) AS first_sent_at,
    coalesce(sum(delivered) + sum(bounced_or_failed), 0)::BIGINT AS recipients,
    coalesce(sum(delivered), 0)::BIGINT AS delivered,
    coalesce(sum(bounced_or_failed) FILTER (coalesce(channel, '') NOT IN ('sms', 'whatsapp')), 0)::BIGINT AS bounced,
    coalesce(sum(bounced_or_failed) FILTER (channel IN ('sms', 'whatsapp')), 0)::BIGINT AS failed,
    coalesce(sum(opens), 0)::BIGINT AS opens,
    coalesce(sum(opens_unique), 0)::BIGINT AS opens_unique,
    coalesce(sum(machine_opens), 0)::BIGINT AS machine_opens,
    coalesce(sum(opens_unique_with_machines), 0)::BIGINT AS opens_unique_with_machines,
    coalesce(sum(clicks), 0)::BIGINT AS clicks,
    coalesce(sum(clicks_unique), 0)::BIGINT AS clicks_unique,
    coalesce(sum(unsubscribes), 0)::BIGINT AS unsubscribes,
    coalesce(sum(unsubscribe_uniques), 0)::BIGINT AS unsubscribe_uniques,
    coalesce(sum(spam_complaints), 0)::BIGINT AS spam_complaints,
    coalesce(sum(conversions), 0)::BIGINT AS conversions,
    coalesce(sum(conversion_uniques), 0)::BIGINT AS conversion_uniques,
    coalesce(sum(conversions_in_currency), 0)::BIGINT AS conversions_in_currency,
    coalesce(sum(conversion_value), 0) AS conversion_value,
    any_value(conversion_value_by_currency) AS conversion_value_by_currency
FROM together
GROUP BY message_id, variation_id, month
