-- description: One row per flow, in the shape of Fivetran's table, for the dbt package dbt_klaviyo. Deleted flows are here too, and marked.
-- key: id
-- view: fivetran
-- column id: Klaviyo's id of the flow.
-- column name: Name of the flow.
-- column status: State of the flow: draft, manual or live.
-- column archived: Whether the flow is archived.
-- column trigger_type: What starts the flow.
-- column created: When the flow was created, in UTC.
-- column updated: When the flow was last changed, in UTC.
-- column _fivetran_synced: When the row was last read from Klaviyo, in UTC.
-- column _fivetran_deleted: Whether Klaviyo no longer has the flow.

SELECT id, name, status, archived, trigger_type, created AT TIME ZONE 'UTC' AS created, updated AT TIME ZONE 'UTC' AS updated,
  _synced_at AT TIME ZONE 'UTC' AS _fivetran_synced, _deleted_at IS NOT NULL AS _fivetran_deleted
FROM flows
