-- description: One row per message, person and variation: what was sent to the person, and what the person did with it.
--   Opens by machines (such as Apple's Mail Privacy Protection) are counted, and counted apart.
-- key: message_id, profile_id, variation_id
-- incremental: profile_id
-- column message_id: The message; see dim_message.
-- column profile_id: The recipient; null if the profile no longer exists.
-- column variation_id: Variation of the message in an A/B test; empty without one.
-- column flow_id: Flow that sent it, as the events say; null for a campaign.
-- column channel: Channel of the events: email, sms, push or whatsapp; null if there is only an attributed order.
-- column sent_at: First delivery or bounce; null if neither is stored.
-- column first_delivered_at: First delivery.
-- column last_delivered_at: Latest delivery; flows may send a message again.
-- column delivered: Deliveries.
-- column bounces: Bounces, and text messages that failed.
-- column bounced_at: First bounce.
-- column dropped: Messages that were not sent to the provider because the address was suppressed.
-- column opens: Opens, also by machines.
-- column human_opens: Opens by people.
-- column machine_opens: Opens by machines.
-- column first_opened_at: First open, also by a machine.
-- column first_human_opened_at: First open by a person.
-- column last_human_opened_at: Latest open by a person.
-- column clicks: Clicks.
-- column first_clicked_at: First click.
-- column last_clicked_at: Latest click.
-- column unsubscribes: Unsubscribes from the channel by this message.
-- column unsubscribed_at: First of them.
-- column spam_complaints: Complaints about spam.
-- column spam_at: First of them.
-- column conversions: Orders that Klaviyo attributes to the message (fct_orders).
-- column converted_value: Their value by currency; null without any.
-- metadata recipients: count_if(sent_at IS NOT NULL)

WITH done AS (
  SELECT e.message_id, e.profile_id, coalesce(e.variation_id, '') AS variation_id, e.flow_id, e.datetime, r.channel, r.role,
    r.role = 'opened' AND e.machine_open IS TRUE AS by_machine
  FROM live_events AS e JOIN metric_roles AS r ON r.metric_id = e.metric_id
  WHERE e.message_id IS NOT NULL AND r.role IN ('received', 'opened', 'clicked', 'bounced', 'dropped', 'spam', 'unsubscribed')
), messages AS (
  SELECT message_id, profile_id, variation_id, max(flow_id) AS flow_id, max(channel) AS channel,
    min(datetime) FILTER (role IN ('received', 'bounced')) AS sent_at,
    min(datetime) FILTER (role = 'received') AS first_delivered_at, max(datetime) FILTER (role = 'received') AS last_delivered_at,
    count_if(role = 'received') AS delivered, count_if(role = 'bounced') AS bounces, min(datetime) FILTER (role = 'bounced') AS bounced_at,
    count_if(role = 'dropped') AS dropped, count_if(role = 'opened') AS opens, count_if(role = 'opened' AND NOT by_machine) AS human_opens,
    count_if(by_machine) AS machine_opens, min(datetime) FILTER (role = 'opened') AS first_opened_at,
    min(datetime) FILTER (role = 'opened' AND NOT by_machine) AS first_human_opened_at,
    max(datetime) FILTER (role = 'opened' AND NOT by_machine) AS last_human_opened_at,
    count_if(role = 'clicked') AS clicks, min(datetime) FILTER (role = 'clicked') AS first_clicked_at,
    max(datetime) FILTER (role = 'clicked') AS last_clicked_at, count_if(role = 'unsubscribed') AS unsubscribes,
    min(datetime) FILTER (role = 'unsubscribed') AS unsubscribed_at, count_if(role = 'spam') AS spam_complaints,
    min(datetime) FILTER (role = 'spam') AS spam_at
  FROM done GROUP BY message_id, profile_id, variation_id
), converted AS (
  -- An order that names no variation counts for the one that the person got.
  SELECT o.attributed_message_id AS message_id, o.profile_id, coalesce(o.attributed_variation_id, got.variation_id, '') AS variation_id,
    max(o.attributed_flow_id) AS flow_id, coalesce(o.currency, '') AS currency, count(*) AS orders, sum(o.value) AS value
  FROM fct_orders AS o
  LEFT JOIN (SELECT message_id, profile_id, max(variation_id) AS variation_id FROM messages GROUP BY message_id, profile_id) AS got
    ON got.message_id = o.attributed_message_id AND got.profile_id = o.profile_id
  WHERE o.attributed_message_id IS NOT NULL
  GROUP BY ALL
), conversions AS (
  SELECT message_id, profile_id, variation_id, max(flow_id) AS flow_id, sum(orders)::BIGINT AS conversions,
    map_from_entries(list((currency, value) ORDER BY currency)) AS converted_value
  FROM converted GROUP BY message_id, profile_id, variation_id
)
SELECT coalesce(m.message_id, c.message_id) AS message_id, coalesce(m.profile_id, c.profile_id) AS profile_id,
  coalesce(m.variation_id, c.variation_id) AS variation_id, coalesce(m.flow_id, c.flow_id) AS flow_id, m.channel, m.sent_at, m.first_delivered_at,
  m.last_delivered_at, coalesce(m.delivered, 0) AS delivered, coalesce(m.bounces, 0) AS bounces, m.bounced_at, coalesce(m.dropped, 0) AS dropped,
  coalesce(m.opens, 0) AS opens, coalesce(m.human_opens, 0) AS human_opens, coalesce(m.machine_opens, 0) AS machine_opens, m.first_opened_at,
  m.first_human_opened_at, m.last_human_opened_at, coalesce(m.clicks, 0) AS clicks, m.first_clicked_at, m.last_clicked_at,
  coalesce(m.unsubscribes, 0) AS unsubscribes, m.unsubscribed_at, coalesce(m.spam_complaints, 0) AS spam_complaints, m.spam_at,
  coalesce(c.conversions, 0) AS conversions, c.converted_value
FROM messages AS m FULL JOIN conversions AS c
  ON c.message_id = m.message_id AND c.profile_id IS NOT DISTINCT FROM m.profile_id AND c.variation_id = m.variation_id
