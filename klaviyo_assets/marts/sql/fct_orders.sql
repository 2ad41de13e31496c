-- description: One row per order: an event of the metric that means revenue in this account. Amounts are in the order's own currency.
--   Native attribution is what Klaviyo says of the order; attribution by window is the person's last open (not by a machine) or click of an e-mail
--   within 5 days before the order, or the last open or click of another channel within 24 hours, whichever was later.
-- key: event_id
-- incremental: profile_id
-- column event_id: Klaviyo's id of the order's event.
-- column order_key: What identifies the order in the shop ($event_id).
-- column metric_id: Metric of the event.
-- column profile_id: Who ordered; null if the profile no longer exists.
-- column ordered_at: When it was ordered.
-- column day: That day, in the account's time zone.
-- column value: Value of the order.
-- column currency: Currency of the value: of the event, else of the account.
-- column item_count: Lines of the order.
-- column discount_codes: Discount codes that were used; null if none.
-- column nth_order: 1 for the first order of the profile that is stored, 2 for the second; null without a profile.
-- column days_since_previous: Days since the profile's order before; null for the first.
-- column refunded: Whether the order was refunded or cancelled, in full or in part.
-- column refunded_value: Sum of the order's refunds; without a refund, the value of its cancellation. At most the order's value.
--   account_daily.refunds counts by the day of the refund instead, and no cancellations.
-- column attributed_event_id: Native attribution: the open or click.
-- column attributed_message_id: Native attribution: the message.
-- column attributed_variation_id: Native attribution: the variation of the message.
-- column attributed_campaign_id: Native attribution: the campaign, where Klaviyo names it; else see dim_message.
-- column attributed_flow_id: Native attribution: the flow.
-- column attributed_channel: Native attribution: email, sms, push or whatsapp, where the order or the open or click says so; else see dim_message.
-- column attributed_kind: Native attribution: campaign or flow.
-- column window_event_id: Attribution by window: the open or click.
-- column window_touched_at: Attribution by window: when that was.
-- column window_touch: Attribution by window: opened or clicked.
-- column window_message_id: Attribution by window: the message.
-- column window_variation_id: Attribution by window: the variation of the message.
-- column window_campaign_id: Attribution by window: the campaign, where the event names it; else see dim_message.
-- column window_flow_id: Attribution by window: the flow.
-- column window_channel: Attribution by window: email, sms, push or whatsapp.
-- column window_kind: Attribution by window: campaign or flow.
-- metadata orders_yesterday: SELECT count(*) FROM fct_orders, mart_run WHERE day = mart_run.today - 1
-- metadata revenue_yesterday: SELECT sum(value) FROM fct_orders, mart_run WHERE day = mart_run.today - 1
--   AND fct_orders.currency IS NOT DISTINCT FROM mart_run.currency
-- metadata attributed_share: SELECT count(attributed_message_id) / nullif(count(*), 0) FROM fct_orders, mart_run WHERE day >= mart_run.today - 30
-- warn orders_without_value: SELECT event_id FROM fct_orders WHERE value IS NULL

WITH orders AS (
  -- Without the JSON, of which each of the steps below would hold a copy.
  SELECT e.* EXCLUDE (event_properties), coalesce(e.currency, r.currency) AS order_currency,
    -- Klaviyo names the open or click in the attributions, and earlier in this property.
    coalesce(e.attributed_event_id, e.event_properties->>'$."$attribution"."$attributed_event_id"') AS touch_id,
    e.event_properties->>'$."$attribution"."$variation"' AS named_variation_id, e.event_properties->>'$."$attribution"."$flow"' AS named_flow_id,
    e.event_properties->>'$."$attribution"."$attributed_channel"' AS named_channel,
    CASE json_type(e.event_properties, '$."Discount Codes"')
      WHEN 'ARRAY' THEN [coalesce(one->>'$.code', one->>'$') FOR one IN CAST(e.event_properties->'$."Discount Codes"' AS JSON[])]
      WHEN 'VARCHAR' THEN [e.event_properties->>'$."Discount Codes"']
    END AS codes
  FROM live_events AS e CROSS JOIN mart_run AS r
  WHERE e.metric_id IN (SELECT metric_id FROM metric_roles WHERE role = 'revenue')
), refunds AS (
  -- An order that is cancelled and then refunded has an event of each, for the same money.
  SELECT e.profile_id, e.event_key,
    coalesce(sum(abs(e.value)) FILTER (r.role = 'refunded_sales'), max(abs(e.value)) FILTER (r.role = 'cancelled_sales')) AS value
  FROM live_events AS e JOIN metric_roles AS r ON r.metric_id = e.metric_id
  WHERE r.role IN ('refunded_sales', 'cancelled_sales') AND e.event_key IS NOT NULL
  GROUP BY e.profile_id, e.event_key
), touches AS (
  SELECT e.id, e.profile_id, e.datetime, e.message_id, e.variation_id, e.campaign_id, e.flow_id, r.role, r.channel
  FROM live_events AS e JOIN metric_roles AS r ON r.metric_id = e.metric_id
  WHERE r.role IN ('opened', 'clicked') AND e.message_id IS NOT NULL AND e.machine_open IS NOT TRUE
    AND e.profile_id IN (SELECT profile_id FROM orders)
), latest AS (
  -- Of two at the same instant, the same one each time.
  SELECT profile_id, channel = 'email' AS is_email, datetime, max_by(touches, id) AS touch FROM touches GROUP BY ALL
), in_window AS (
  SELECT o.id AS event_id, t.touch
  FROM orders AS o ASOF JOIN (SELECT * FROM latest WHERE is_email) AS t ON t.profile_id = o.profile_id AND o.datetime > t.datetime
  WHERE t.datetime >= o.datetime - INTERVAL 120 HOUR
  UNION ALL
  SELECT o.id, t.touch
  FROM orders AS o ASOF JOIN (SELECT * FROM latest WHERE NOT is_email) AS t ON t.profile_id = o.profile_id AND o.datetime > t.datetime
  WHERE t.datetime >= o.datetime - INTERVAL 24 HOUR
), last_touch AS (
  SELECT event_id, max_by(touch, (touch.datetime, touch.id)) AS touch FROM in_window GROUP BY event_id
), numbered AS (
  SELECT id, row_number() OVER by_profile AS nth_order, datediff('day', lag(day) OVER by_profile, day) AS days_since_previous
  FROM orders WHERE profile_id IS NOT NULL
  WINDOW by_profile AS (PARTITION BY profile_id ORDER BY datetime, id)
), native AS (
  SELECT o.id AS event_id, t.id IS NOT NULL AS has_touch, coalesce(o.attributed_message_id, t.message_id) AS message_id,
    coalesce(o.attributed_flow_message_variation_id, t.variation_id, o.named_variation_id) AS variation_id,
    coalesce(o.attributed_campaign_id, t.campaign_id) AS campaign_id,
    coalesce(o.attributed_flow_id, t.flow_id, o.named_flow_id) AS flow_id,
    o.touch_id AS attributed_event_id,
    coalesce(r.channel, o.attributed_channel, o.named_channel) AS channel
  FROM orders AS o
  LEFT JOIN live_events AS t ON t.id = o.touch_id AND t.profile_id = o.profile_id
  LEFT JOIN metric_roles AS r ON r.metric_id = t.metric_id AND r.channel IS NOT NULL
)
SELECT o.id AS event_id, o.event_key AS order_key, o.metric_id, o.profile_id, o.datetime AS ordered_at, o.day, o.value, o.order_currency AS currency,
  o.item_count, nullif([one FOR one IN o.codes IF one <> ''], []) AS discount_codes, u.nth_order, u.days_since_previous,
  f.event_key IS NOT NULL AS refunded, if(f.value IS NULL, NULL, least(f.value, o.value)) AS refunded_value,
  n.attributed_event_id, n.message_id AS attributed_message_id, n.variation_id AS attributed_variation_id, n.campaign_id AS attributed_campaign_id,
  n.flow_id AS attributed_flow_id, n.channel AS attributed_channel,
  CASE WHEN n.flow_id IS NOT NULL THEN 'flow' WHEN n.campaign_id IS NOT NULL OR n.message_id IS NOT NULL THEN 'campaign' END AS attributed_kind,
  w.touch.id AS window_event_id, w.touch.datetime AS window_touched_at, w.touch.role AS window_touch, w.touch.message_id AS window_message_id,
  w.touch.variation_id AS window_variation_id, w.touch.campaign_id AS window_campaign_id, w.touch.flow_id AS window_flow_id,
  w.touch.channel AS window_channel, CASE WHEN w.touch.flow_id IS NOT NULL THEN 'flow' WHEN w.touch.id IS NOT NULL THEN 'campaign' END AS window_kind
FROM orders AS o
JOIN native AS n ON n.event_id = o.id
LEFT JOIN numbered AS u ON u.id = o.id
LEFT JOIN refunds AS f ON f.event_key = o.event_key AND f.profile_id IS NOT DISTINCT FROM o.profile_id
LEFT JOIN last_touch AS w ON w.event_id = o.id
