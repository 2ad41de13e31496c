-- description: One row per metric, with its role in the marts.
-- key: metric_id
-- column metric_id: Klaviyo's id of the metric.
-- column name: Name of the metric; several may have the same one.
-- column integration: Name of the integration that sends its events, such as Shopify or API.
-- column integration_category: Category of that integration, such as eCommerce.
-- column role: Role of the metric: revenue, received, opened, …; null if it has none. See metric_roles.
-- column channel: Channel of that role: email, sms, push or whatsapp; null if it has none.
-- column is_mapped: Whether Klaviyo's own mapping gives it the role.
-- column created_at: When the metric was created.
-- column is_deleted: Whether Klaviyo no longer has the metric.
-- metadata metrics: count(*)
-- metadata metrics_with_a_role: count(role)
-- warn no_revenue_metric: SELECT 'revenue' AS role WHERE NOT EXISTS (SELECT 1 FROM dim_metric WHERE role = 'revenue')

WITH roles AS (
  -- A metric may be mapped to two roles; revenue is what the marts are built on.
  SELECT metric_id, first(role ORDER BY role <> 'revenue', role) AS role, first(channel ORDER BY role <> 'revenue', role) AS channel,
    bool_or(is_mapped) AS is_mapped
  FROM metric_roles GROUP BY metric_id
)
SELECT m.id AS metric_id, m.name, m.integration->>'$.name' AS integration, m.integration->>'$.category' AS integration_category,
  r.role, r.channel, coalesce(r.is_mapped, false) AS is_mapped, m.created AS created_at, m._deleted_at IS NOT NULL AS is_deleted
FROM metrics AS m LEFT JOIN roles AS r ON r.metric_id = m.id
