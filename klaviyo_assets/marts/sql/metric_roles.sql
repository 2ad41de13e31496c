-- description: One row per metric that has a role in the marts: which metric means revenue, a received e-mail and so on.
--   Shop roles follow Klaviyo's mapping (mapped_metrics); without one, the best known name counts. Roles of messages and consent follow
--   the names of Klaviyo's own metrics, old names included. Names are not unique, so join by metric_id.
-- key: role, metric_id
-- column role: Role of the metric, such as revenue, received, opened, clicked or unsubscribed.
-- column metric_id: The metric.
-- column channel: Channel of a message or a consent: email, sms, push or whatsapp; null for other roles.
-- column is_mapped: Whether Klaviyo's mapping says so; false if the name does.

WITH known_names (role, channel, name, preference) AS (
  VALUES
    ('revenue', NULL, 'placed order', 1),
    ('ordered_product', NULL, 'ordered product', 1),
    ('refunded_sales', NULL, 'refunded order', 1),
    ('cancelled_sales', NULL, 'cancelled order', 1),
    ('cancelled_sales', NULL, 'canceled order', 2),
    ('started_checkout', NULL, 'checkout started', 1),
    ('started_checkout', NULL, 'started checkout', 2),
    ('viewed_product', NULL, 'viewed product', 1),
    ('added_to_cart', NULL, 'added to cart', 1),
    ('received', 'email', 'received email', NULL),
    ('opened', 'email', 'opened email', NULL),
    ('clicked', 'email', 'clicked email', NULL),
    ('bounced', 'email', 'bounced email', NULL),
    ('dropped', 'email', 'dropped email', NULL),
    ('spam', 'email', 'marked email as spam', NULL),
    ('unsubscribed', 'email', 'unsubscribed from email marketing', NULL),
    ('unsubscribed', 'email', 'unsubscribed', NULL),
    ('subscribed', 'email', 'subscribed to email marketing', NULL),
    ('received', 'sms', 'received sms', NULL),
    ('opened', 'sms', 'opened sms', NULL),
    ('clicked', 'sms', 'clicked sms', NULL),
    ('bounced', 'sms', 'failed to deliver sms', NULL),
    ('bounced', 'sms', 'failed to deliver automated response sms', NULL),
    ('unsubscribed', 'sms', 'unsubscribed from sms marketing', NULL),
    ('unsubscribed', 'sms', 'unsubscribed from sms', NULL),
    ('subscribed', 'sms', 'subscribed to sms marketing', NULL),
    ('subscribed', 'sms', 'consented to receive sms', NULL),
    ('received', 'push', 'received push', NULL),
    ('opened', 'push', 'opened push', NULL),
    ('bounced', 'push', 'bounced push', NULL),
    ('unsubscribed', 'push', 'unsubscribed from push marketing', NULL),
    ('unsubscribed', 'push', 'unsubscribed from mobile push', NULL),
    ('subscribed', 'push', 'subscribed to push marketing', NULL),
    ('subscribed', 'push', 'subscribed to mobile push', NULL),
    ('received', 'whatsapp', 'received whatsapp', NULL),
    ('opened', 'whatsapp', 'opened whatsapp', NULL),
    ('opened', 'whatsapp', 'read whatsapp', NULL),
    ('clicked', 'whatsapp', 'clicked whatsapp', NULL),
    ('bounced', 'whatsapp', 'failed to deliver whatsapp', NULL),
    ('unsubscribed', 'whatsapp', 'unsubscribed from whatsapp marketing', NULL),
    ('subscribed', 'whatsapp', 'subscribed to whatsapp marketing', NULL),
    ('subscribed_to_list', NULL, 'subscribed to list', NULL),
    ('unsubscribed_from_list', NULL, 'unsubscribed from list', NULL),
    ('form_submitted', NULL, 'form submitted by profile', NULL),
    ('active_on_site', NULL, 'active on site', NULL),
    ('review', NULL, 'submitted review', NULL)
), live_metrics AS (
  -- Events of a metric that was deleted in Klaviyo are still there.
  SELECT id, lower(trim(name)) AS name, integration->>'$.name' AS integration, integration->>'$.category' AS category, created FROM metrics
), mapped AS (
  SELECT id AS role, metric_id FROM mapped_metrics WHERE _deleted_at IS NULL AND metric_id IS NOT NULL
  UNION
  -- A custom metric counts the events of one or more metrics; its conditions on their properties are not applied.
  SELECT m.id, unnest(c.definition_metric_groups->>'$[*].metric_id')
  FROM mapped_metrics AS m JOIN custom_metrics AS c ON c.id = m.custom_metric_id
  WHERE m._deleted_at IS NULL AND c._deleted_at IS NULL
), named AS (
  SELECT k.role, m.id AS metric_id, k.channel, k.preference, m.integration, m.category, m.created,
    bool_or(m.integration = 'Klaviyo') OVER (PARTITION BY m.name) AS klaviyo_sends_it
  FROM live_metrics AS m JOIN known_names AS k USING (name)
), shop AS (
  -- Two integrations may send orders under one name: adding both would count each order twice.
  SELECT role, metric_id FROM named WHERE preference IS NOT NULL AND role NOT IN (SELECT role FROM mapped)
  QUALIFY row_number() OVER (PARTITION BY role ORDER BY category = 'eCommerce' DESC NULLS LAST, preference, created, metric_id) = 1
)
SELECT role, metric_id, NULL::VARCHAR AS channel, true AS is_mapped FROM mapped WHERE metric_id IS NOT NULL
UNION ALL
SELECT role, metric_id, NULL::VARCHAR, false FROM shop
UNION ALL
-- Another sender's history may have been imported under the names of Klaviyo's metrics.
SELECT role, metric_id, channel, false FROM named WHERE preference IS NULL AND (integration = 'Klaviyo' OR klaviyo_sends_it IS NOT TRUE)
