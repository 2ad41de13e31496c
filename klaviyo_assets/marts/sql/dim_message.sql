-- description: One row per message of a campaign or a flow, with what it belongs to. Events name messages that Klaviyo no longer lists; these are
--   here too, with what the events say.
-- key: message_id
-- column message_id: Id by which events name the message: of a campaign message, a flow message, or of a campaign in older events.
-- column kind: campaign or flow: a message is of a flow if a flow or its events say so.
-- column channel: Channel: email, sms, push, whatsapp, webhook or internal_alert.
-- column campaign_id: Campaign that sends it; null for a flow.
-- column flow_id: Flow that sends it; null for a campaign.
-- column parent_id: The campaign or the flow.
-- column parent_name: Name of the campaign or the flow.
-- column message_name: Name of the message.
-- column subject: Subject of the e-mail.
-- column template_id: Template of the message.
-- column status: State of the campaign, or of the flow's action.
-- column position: Place of the message's action in the flow, from 1 on.
-- column is_variation: Whether the message is a variation of an A/B test in a flow.
-- column experiment_name: Name of that A/B test.
-- column sent_at: When the campaign was sent; the first delivery for a campaign that only events name; null for a flow.
-- column tags: Names of the tags of the campaign or the flow, ascending.
-- column is_deleted: Whether Klaviyo no longer has the message, or the campaign or flow.
-- column only_in_events: Whether no table but that of the events has the message.
-- metadata messages: count(*)
-- metadata messages_only_in_events: count_if(only_in_events)

WITH tag_names AS (
  SELECT owner, list(name ORDER BY name) AS tags
  FROM (
    SELECT DISTINCT owner, tags.name
    FROM (SELECT id AS owner, unnest(tag_ids) AS tag_id FROM campaigns UNION ALL SELECT id, unnest(tag_ids) FROM flows) AS tagged
    JOIN tags ON tags.id = tagged.tag_id WHERE tags._deleted_at IS NULL
  )
  GROUP BY owner
), of_campaigns AS (
  SELECT m.id AS message_id, coalesce(m.channel, c.channel) AS channel, coalesce(m.campaign_id, c.id) AS campaign_id, c.name AS parent_name,
    m.label AS message_name, m.subject, m.template_id, c.status, c.send_time,
    m._deleted_at IS NOT NULL OR c._deleted_at IS NOT NULL AS is_deleted
  FROM campaign_messages AS m LEFT JOIN campaigns AS c ON c.id = m.campaign_id
), listed AS (
  -- Campaigns name their messages, also where the table of the messages is not filled.
  SELECT unnest(campaign_message_ids) AS message_id, id AS campaign_id, channel, name, status, send_time, _deleted_at FROM campaigns
), used AS (
  -- One event of each message, and what all of its events agree on.
  SELECT e.message_id, max(e.flow_id) AS flow_id, max(e.campaign_id) AS campaign_id, max(r.channel) AS channel,
    min(e.datetime) FILTER (r.role = 'received') AS first_received_at, min(e.id) AS event_id
  FROM live_events AS e JOIN metric_roles AS r ON r.metric_id = e.metric_id
  WHERE e.message_id IS NOT NULL AND r.channel IS NOT NULL
  GROUP BY e.message_id
), known AS (
  SELECT message_id, 'campaign' AS kind, channel, campaign_id, NULL::VARCHAR AS flow_id, parent_name, message_name, subject, template_id, status,
    NULL::BIGINT AS position, NULL::BOOLEAN AS is_variation, NULL::VARCHAR AS experiment_name, send_time, is_deleted
  FROM of_campaigns
  UNION ALL
  SELECT message_id, 'campaign', channel, campaign_id, NULL, name, NULL, NULL, NULL, status, NULL, NULL, NULL, send_time, _deleted_at IS NOT NULL
  FROM listed WHERE message_id NOT IN (SELECT message_id FROM of_campaigns)
  UNION ALL
  SELECT m.id, 'flow', m.channel, NULL, m.flow_id, f.name, m.name, m.subject_line, m.template_id, m.status, m.position, m.is_variation,
    m.experiment_name, NULL, m._deleted_at IS NOT NULL OR f._deleted_at IS NOT NULL
  FROM flow_messages AS m LEFT JOIN flows AS f ON f.id = m.flow_id
  UNION ALL
  SELECT c.id, 'campaign', c.channel, c.id, NULL, c.name, NULL, NULL, NULL, c.status, NULL, NULL, NULL, c.send_time, c._deleted_at IS NOT NULL
  FROM campaigns AS c WHERE c.id IN (SELECT message_id FROM used)
), first_known AS (
  FROM known QUALIFY row_number() OVER (PARTITION BY message_id ORDER BY is_deleted, kind, campaign_id, flow_id) = 1
), others AS (
  SELECT u.message_id, CASE WHEN u.flow_id IS NOT NULL THEN 'flow' WHEN c.id IS NOT NULL OR u.campaign_id IS NOT NULL THEN 'campaign' END AS kind,
    u.channel, coalesce(c.id, u.campaign_id) AS campaign_id, u.flow_id,
    -- Klaviyo writes the name of a campaign, and of a flow's message, into the same property.
    coalesce(f.name, c.name, if(u.flow_id IS NULL, e.event_properties->>'$."Campaign Name"', NULL)) AS parent_name,
    if(u.flow_id IS NOT NULL, e.event_properties->>'$."Campaign Name"', NULL) AS message_name,
    e.event_properties->>'$.Subject' AS subject, NULL::VARCHAR AS template_id, coalesce(c.status, f.status) AS status, NULL::BIGINT AS position,
    NULL::BOOLEAN AS is_variation, NULL::VARCHAR AS experiment_name, c.send_time, u.first_received_at
  FROM used AS u ANTI JOIN first_known AS k ON k.message_id = u.message_id
  LEFT JOIN live_events AS e ON e.id = u.event_id
  LEFT JOIN flows AS f ON f.id = u.flow_id
  LEFT JOIN campaigns AS c ON c.id = u.campaign_id
), together AS (
  SELECT *, NULL::TIMESTAMPTZ AS first_received_at, false AS only_in_events FROM first_known
  UNION ALL BY NAME
  SELECT *, true AS is_deleted, true AS only_in_events FROM others
)
SELECT m.message_id, coalesce(m.kind, if(m.only_in_events, 'campaign', NULL)) AS kind, if(m.channel = 'mobile_push', 'push', m.channel) AS channel,
  m.campaign_id, m.flow_id, coalesce(m.campaign_id, m.flow_id) AS parent_id, m.parent_name, m.message_name, m.subject, m.template_id, m.status,
  m.position, m.is_variation, m.experiment_name,
  CASE WHEN m.flow_id IS NULL AND coalesce(m.send_time, m.first_received_at) <= r.now THEN coalesce(m.send_time, m.first_received_at) END AS sent_at,
  t.tags, m.is_deleted, m.only_in_events
FROM together AS m CROSS JOIN mart_run AS r LEFT JOIN tag_names AS t ON t.owner = coalesce(m.campaign_id, m.flow_id)
