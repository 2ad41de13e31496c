-- description: One row per event, in the shape of Fivetran's table, for the dbt package dbt_klaviyo. Deleted events are here too, and marked.
-- key: id
-- view: fivetran
-- column id: Klaviyo's id of the event.
-- column uuid: UUID of the event.
-- column datetime: When the event took place, in UTC.
-- column timestamp: The same instant.
-- column type: Name of the metric.
-- column metric_id: The event's metric.
-- column person_id: The profile that the event belongs to.
-- column campaign_id: Campaign of the message that the event is about, else the one that Klaviyo attributes the event to.
-- column flow_id: Flow of the message that the event is about, else the one that Klaviyo attributes the event to.
-- column flow_message_id: Message of that flow.
-- column _variation: Variation of that message in an A/B test.
-- column property_value: Amount of the event ($value) as a decimal number, in text.
-- column property_attribution: What Klaviyo attributes the event to: the relationships of its first attribution, else the property $attribution.
-- column event_properties: All properties as Klaviyo sent them: what pass-through columns can be made of.
-- column _fivetran_synced: When the row was last read from Klaviyo, in UTC.
-- column _fivetran_deleted: Whether Klaviyo no longer has the event.

WITH messages AS (
  -- Older events name a campaign where newer ones name its message.
  SELECT message_id, min(campaign_id) AS campaign_id, min(flow_id) AS flow_id
  FROM (
    SELECT id AS message_id, campaign_id, NULL::VARCHAR AS flow_id FROM campaign_messages
    UNION ALL
    SELECT unnest(campaign_message_ids), id, NULL FROM campaigns
    UNION ALL
    SELECT id, id, NULL FROM campaigns
    UNION ALL
    SELECT id, NULL, flow_id FROM flow_messages
  )
  GROUP BY message_id
), touched AS (
  SELECT e.*, m.name AS metric_name, coalesce(e.flow_id, o.flow_id) AS own_flow_id,
    if(e.flow_id IS NULL, coalesce(e.campaign_id, o.campaign_id), NULL) AS own_campaign_id
  FROM events AS e LEFT JOIN metrics AS m ON m.id = e.metric_id LEFT JOIN messages AS o ON o.message_id = e.message_id
), placed AS (
  SELECT *, own_flow_id IS NULL AND own_campaign_id IS NULL AS is_of_another FROM touched
)
SELECT id, uuid, datetime AT TIME ZONE 'UTC' AS datetime, datetime AT TIME ZONE 'UTC' AS timestamp, metric_name AS type, metric_id,
  profile_id AS person_id, if(is_of_another AND attributed_flow_id IS NULL, attributed_campaign_id, own_campaign_id) AS campaign_id,
  if(is_of_another, attributed_flow_id, own_flow_id) AS flow_id,
  CASE WHEN own_flow_id IS NOT NULL THEN message_id WHEN is_of_another THEN attributed_flow_message_id END AS flow_message_id,
  if(is_of_another, attributed_flow_message_variation_id, variation_id) AS _variation,
  try_cast(value AS DECIMAL(28, 6))::VARCHAR AS property_value,
  coalesce(
    if((attributions->0) IS NOT NULL, json_object('relationships', attributions->0), NULL), event_properties->'$."$attribution"'
  )::VARCHAR AS property_attribution,
  event_properties, _synced_at AT TIME ZONE 'UTC' AS _fivetran_synced, _deleted_at IS NOT NULL AS _fivetran_deleted
FROM placed
