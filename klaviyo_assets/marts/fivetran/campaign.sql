-- description: One row per campaign, in the shape of Fivetran's table, for the dbt package dbt_klaviyo. Deleted campaigns are here too, and marked.
-- key: id
-- view: fivetran
-- column id: Klaviyo's id of the campaign.
-- column name: Name of the campaign.
-- column campaign_type: Channel: email, sms or mobile_push.
-- column subject: Subject of its first message.
-- column from_email: Address of the sender of that message.
-- column from_name: Name of that sender.
-- column email_template_id: Template of that message.
-- column status: State of the campaign, such as sent, in lower case.
-- column status_label: State as Klaviyo's screens show it.
-- column status_id: Always null: Klaviyo's API has no such number any more.
-- column archived: Whether the campaign is archived.
-- column created: When the campaign was created, in UTC.
-- column scheduled: When the campaign was scheduled for sending, in UTC.
-- column send_time: When it was or will be sent, in UTC.
-- column sent_at: When it was sent, in UTC; null if its state is another one.
-- column updated: When the campaign was last changed, in UTC.
-- column _fivetran_synced: When the row was last read from Klaviyo, in UTC.
-- column _fivetran_deleted: Whether Klaviyo no longer has the campaign.

WITH first_messages AS (
  FROM campaign_messages QUALIFY row_number() OVER (PARTITION BY campaign_id ORDER BY _deleted_at IS NOT NULL, created_at, id) = 1
)
SELECT c.id, c.name, c.channel AS campaign_type, m.subject, m.from_email, m.from_label AS from_name, m.template_id AS email_template_id,
  lower(c.status) AS status, c.status AS status_label, NULL::VARCHAR AS status_id, c.archived, c.created_at AT TIME ZONE 'UTC' AS created,
  c.scheduled_at AT TIME ZONE 'UTC' AS scheduled, c.send_time AT TIME ZONE 'UTC' AS send_time,
  if(lower(c.status) = 'sent', c.send_time AT TIME ZONE 'UTC', NULL) AS sent_at, c.updated_at AT TIME ZONE 'UTC' AS updated,
  c._synced_at AT TIME ZONE 'UTC' AS _fivetran_synced, c._deleted_at IS NOT NULL AS _fivetran_deleted
FROM campaigns AS c LEFT JOIN first_messages AS m ON m.campaign_id = c.id
