-- description: One row per metric, in the shape of Fivetran's table, for the dbt package dbt_klaviyo. Deleted metrics are here too, and marked.
-- key: id
-- view: fivetran
-- column id: Klaviyo's id of the metric.
-- column name: Name of the metric.
-- column integration_id: The integration that sends its events.
-- column integration_name: Name of that integration.
-- column integration_category: Its category, such as eCommerce.
-- column created: When the metric was created, in UTC.
-- column updated: When the metric was last changed, in UTC.
-- column _fivetran_synced: When the row was last read from Klaviyo, in UTC.
-- column _fivetran_deleted: Whether Klaviyo no longer has the metric.

SELECT id, name, integration->>'$.id' AS integration_id, integration->>'$.name' AS integration_name,
  integration->>'$.category' AS integration_category, created AT TIME ZONE 'UTC' AS created, updated AT TIME ZONE 'UTC' AS updated,
  _synced_at AT TIME ZONE 'UTC' AS _fivetran_synced, _deleted_at IS NOT NULL AS _fivetran_deleted
FROM metrics
