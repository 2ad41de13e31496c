-- description: One row per day and currency: revenue and what it is attributed to, orders, messages and subscribers.
--   What has no currency is in the row of the account's currency and null in the others, so that sums over rows are right.
-- key: day, currency
-- column day: Day, in the account's time zone.
-- column currency: Currency of the amounts; empty if neither the orders nor the account name one.
-- column orders: Orders placed in this currency.
-- column revenue: Value of these orders, before refunds.
-- column average_order_value: revenue / orders.
-- column customers: People who ordered.
-- column new_customers: Orders that are the first of their person.
-- column refunds: Value of the refunds of the day, for orders of any day. Cancellations do not count here;
--   fct_orders.refunded_value is by order and has them.
-- column attributed_orders: Orders that Klaviyo attributes to a message.
-- column attributed_revenue: Their value.
-- column attributed_share: attributed_revenue / revenue.
-- column campaign_revenue: Value of the orders attributed to campaigns.
-- column flow_revenue: Value of the orders attributed to flows.
-- column email_revenue: Value of the orders attributed to e-mails.
-- column sms_revenue: Value of the orders attributed to text messages.
-- column push_revenue: Value of the orders attributed to push messages.
-- column whatsapp_revenue: Value of the orders attributed to WhatsApp messages.
-- column other_revenue: Value of the attributed orders of any other or unknown channel.
-- column emails_delivered: E-mails delivered.
-- column sms_delivered: Text messages delivered.
-- column push_delivered: Push messages delivered.
-- column email_opens: Opens of e-mails by people.
-- column clicks: Clicks in messages.
-- column email_subscribers_gained: People who subscribed to e-mail marketing.
-- column email_subscribers_lost: People who unsubscribed from it.
-- column sms_subscribers_gained: People who subscribed to SMS marketing.
-- column sms_subscribers_lost: People who unsubscribed from it.
-- metadata revenue_yesterday: SELECT coalesce(sum(revenue), 0)
--   FROM account_daily, mart_run WHERE day = today - 1 AND account_daily.currency = coalesce(mart_run.currency, '')
-- metadata orders_yesterday: SELECT coalesce(sum(orders), 0) FROM account_daily, mart_run WHERE day = today - 1
-- metadata attributed_share_of_the_last_30_days: SELECT sum(attributed_revenue) / nullif(sum(revenue), 0)
--   FROM account_daily, mart_run WHERE day BETWEEN today - 30 AND today - 1 AND account_daily.currency = coalesce(mart_run.currency, '')
-- metadata email_subscribers_net_yesterday: SELECT coalesce(sum(email_subscribers_gained - email_subscribers_lost), 0)
--   FROM account_daily, mart_run WHERE day = today - 1
-- check attributed_exceeds_revenue: SELECT * FROM account_daily WHERE attributed_revenue > revenue + 0.005
WITH credited AS (
    SELECT
        fct_orders.day,
        coalesce(fct_orders.currency, '') AS currency,
        fct_orders.value,
        fct_orders.profile_id,
        fct_orders.nth_order,
        fct_orders.attributed_message_id IS NOT NULL AS is_attributed,
        coalesce(fct_orders.attributed_flow_id, dim_message.flow_id) AS flow_id,
        coalesce(fct_orders.attributed_channel, dim_message.channel) AS channel
    FROM fct_orders LEFT JOIN dim_message ON dim_message.message_id = fct_orders.attributed_message_id
),
orders AS (
    SELECT
        day,
        currency,
        count(*) AS orders,
        coalesce(sum(value), 0) AS revenue,
        count(DISTINCT profile_id) AS customers,
        count_if(nth_order = 1) AS new_customers,
        count_if(is_attributed) AS attributed_orders,
        coalesce(sum(value) FILTER (is_attributed), 0) AS attributed_revenue,
        coalesce(sum(value) FILTER (is_attributed AND flow_id IS NULL), 0) AS campaign_revenue,
        coalesce(sum(value) FILTER (is_attributed AND flow_id IS NOT NULL), 0) AS flow_revenue,
        coalesce(sum(value) FILTER (is_attributed AND channel = 'email'), 0) AS email_revenue,
        coalesce(sum(value) FILTER (is_attributed AND channel = 'sms'), 0) AS sms_revenue,
        coalesce(sum(value) FILTER (is_attributed AND channel = 'push'), 0) AS push_revenue,
        coalesce(sum(value) FILTER (is_attributed AND channel = 'whatsapp'), 0) AS whatsapp_revenue,
        coalesce(sum(value) FILTER (is_attributed AND coalesce(channel, '') NOT IN ('email', 'sms', 'push', 'whatsapp')), 0) AS other_revenue
    FROM credited
    GROUP BY day, currency
),
refunds AS (
    SELECT live_events.day, coalesce(live_events.currency, mart_run.currency, '') AS currency, sum(abs(live_events.value)) AS refunds
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id CROSS JOIN mart_run
    WHERE metric_roles.role = 'refunded_sales'
    GROUP BY live_events.day, coalesce(live_events.currency, mart_run.currency, '')
),
messages AS (
    SELECT
        day,
        sum(events) FILTER (activity = 'received' AND channel = 'email') AS emails_delivered,
        sum(events) FILTER (activity = 'received' AND channel = 'sms') AS sms_delivered,
        sum(events) FILTER (activity = 'received' AND channel = 'push') AS push_delivered,
        sum(events) FILTER (activity = 'opened' AND channel = 'email') AS email_opens,
        sum(events) FILTER (activity = 'clicked') AS clicks
    FROM message_activity_daily
    GROUP BY day
),
subscribers AS (
    SELECT
        day,
        sum(subscribed) FILTER (channel = 'email') AS email_subscribers_gained,
        sum(unsubscribed) FILTER (channel = 'email') AS email_subscribers_lost,
        sum(subscribed) FILTER (channel = 'sms') AS sms_subscribers_gained,
        sum(unsubscribed) FILTER (channel = 'sms') AS sms_subscribers_lost
    FROM consent_daily
    GROUP BY day
),
days AS (
    SELECT day, currency FROM orders
    UNION SELECT day, currency FROM refunds
    UNION SELECT messages.day, coalesce(mart_run.currency, '') FROM messages CROSS JOIN mart_run
    UNION SELECT subscribers.day, coalesce(mart_run.currency, '') FROM subscribers CROSS JOIN mart_run
    UNION SELECT orders.day, coalesce(mart_run.currency, '') FROM orders CROSS JOIN mart_run
)
SELECT
    days.day,
    days.currency,
    coalesce(orders.orders, 0) AS orders,
    round(coalesce(orders.revenue, 0), 4) AS revenue,
    round(orders.revenue / orders.orders, 4) AS average_order_value,
    coalesce(orders.customers, 0) AS customers,
    coalesce(orders.new_customers, 0) AS new_customers,
    round(coalesce(refunds.refunds, 0), 4) AS refunds,
    coalesce(orders.attributed_orders, 0) AS attributed_orders,
    round(coalesce(orders.attributed_revenue, 0), 4) AS attributed_revenue,
    orders.attributed_revenue / nullif(orders.revenue, 0) AS attributed_share,
    round(coalesce(orders.campaign_revenue, 0), 4) AS campaign_revenue,
    round(coalesce(orders.flow_revenue, 0), 4) AS flow_revenue,
    round(coalesce(orders.email_revenue, 0), 4) AS email_revenue,
    round(coalesce(orders.sms_revenue, 0), 4) AS sms_revenue,
    round(coalesce(orders.push_revenue, 0), 4) AS push_revenue,
    round(coalesce(orders.whatsapp_revenue, 0), 4) AS whatsapp_revenue,
    round(coalesce(orders.other_revenue, 0), 4) AS other_revenue,
    if(of_account, coalesce(messages.emails_delivered, 0), NULL)::BIGINT AS emails_delivered,
    if(of_account, coalesce(messages.sms_delivered, 0), NULL)::BIGINT AS sms_delivered,
    if(of_account, coalesce(messages.push_delivered, 0), NULL)::BIGINT AS push_delivered,
    if(of_account, coalesce(messages.email_opens, 0), NULL)::BIGINT AS email_opens,
    if(of_account, coalesce(messages.clicks, 0), NULL)::BIGINT AS clicks,
    if(of_account, coalesce(subscribers.email_subscribers_gained, 0), NULL)::BIGINT AS email_subscribers_gained,
    if(of_account, coalesce(subscribers.email_subscribers_lost, 0), NULL)::BIGINT AS email_subscribers_lost,
    if(of_account, coalesce(subscribers.sms_subscribers_gained, 0), NULL)::BIGINT AS sms_subscribers_gained,
    if(of_account, coalesce(subscribers.sms_subscribers_lost, 0), NULL)::BIGINT AS sms_subscribers_lost
FROM (SELECT days.*, days.currency = coalesce(mart_run.currency, '') AS of_account FROM days CROSS JOIN mart_run) AS days
LEFT JOIN orders USING (day, currency)
LEFT JOIN refunds USING (day, currency)
LEFT JOIN messages USING (day)
LEFT JOIN subscribers USING (day)
