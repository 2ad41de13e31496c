-- description: One row per line of an order. Lines come from the order itself (its property Items). Where it has none, they come from the shop's events
--   of single products (Ordered Product) of the same person and second.
-- key: event_id, line
-- incremental: profile_id
-- column event_id: Event that names the line: the order, or the event of the single product.
-- column line: Number of the line in that event, from 1 on.
-- column source: order or ordered_product.
-- column order_event_id: The order: id of its event; null if no order of the person took place in the same second.
-- column profile_id: Who ordered; null if the profile no longer exists.
-- column ordered_at: When it was ordered.
-- column day: That day, in the account's time zone.
-- column product_id: Product in the shop (ProductID): external_id in catalog_items.
-- column variant_id: Variant in the shop (VariantID): external_id in catalog_variants.
-- column sku: Stock keeping unit.
-- column product_name: Name of the product as the order has it.
-- column categories: Categories of the product as the order has them; null if none.
-- column quantity: How many; 1 if the line does not say.
-- column price: Price of one.
-- column amount: Value of the line: its total, else price times quantity.
-- column currency: Currency of the amounts.
-- metadata lines: count(*)
-- warn lines_without_product: SELECT event_id, line FROM fct_order_items WHERE product_id IS NULL AND sku IS NULL AND product_name IS NULL

WITH orders AS (
  SELECT o.event_id, o.profile_id, o.ordered_at, o.day, o.currency,
    if(json_type(e.event_properties, '$.Items') = 'ARRAY', CAST(e.event_properties->'$.Items' AS JSON[]), []) AS items
  -- By the metric too, so that only the orders' part of the events is read.
  FROM fct_orders AS o JOIN live_events AS e ON e.id = o.event_id AND e.metric_id = o.metric_id AND e.profile_id IS NOT DISTINCT FROM o.profile_id
), first_in_second AS (
  -- The order that a product event of the same second belongs to.
  SELECT profile_id, ordered_at, min_by(event_id, (len(items) = 0, event_id)) AS event_id, bool_or(len(items) > 0) AS has_items
  FROM orders GROUP BY profile_id, ordered_at
), lines AS (
  SELECT event_id, generate_subscripts(items, 1) AS line, 'order' AS source, event_id AS order_event_id, profile_id, ordered_at, day, currency,
    unnest(items) AS item
  FROM orders
  UNION ALL
  SELECT e.id, 1, 'ordered_product', o.event_id, e.profile_id, e.datetime, e.day, coalesce(e.currency, r.currency), e.event_properties
  FROM live_events AS e CROSS JOIN mart_run AS r
  LEFT JOIN first_in_second AS o ON o.profile_id IS NOT DISTINCT FROM e.profile_id AND o.ordered_at = e.datetime
  WHERE e.metric_id IN (SELECT metric_id FROM metric_roles WHERE role = 'ordered_product') AND o.has_items IS NOT TRUE
), extracted AS (
  -- All values in one pass over the text.
  SELECT * EXCLUDE (item), json_extract_string(item, [
      '$.ProductID', '$."Product ID"', '$.product_id', '$.VariantID', '$."Variant ID"', '$.variant_id', '$.SKU', '$.sku', '$.ProductName', '$.Name',
      '$."Product Name"', '$.Title', '$.Quantity', '$.quantity', '$.ItemPrice', '$.Price', '$.price', '$.RowTotal', '$."$value"'
    ]) AS found,
    coalesce(item->'$.ProductCategories', item->'$.Categories', item->'$."Product Categories"') AS categories
  FROM lines
), typed AS (
  SELECT * EXCLUDE (found, categories), coalesce(found[1], found[2], found[3]) AS product_id, coalesce(found[4], found[5], found[6]) AS variant_id,
    coalesce(found[7], found[8]) AS sku, coalesce(found[9], found[10], found[11], found[12]) AS product_name,
    if(json_type(categories) = 'ARRAY', nullif(CAST(categories AS VARCHAR[]), []), NULL) AS categories,
    coalesce(TRY_CAST(coalesce(found[13], found[14]) AS DOUBLE), 1) AS quantity,
    TRY_CAST(coalesce(found[15], found[16], found[17]) AS DOUBLE) AS price,
    -- $value of an event of a single product is the total of the line.
    TRY_CAST(coalesce(found[18], found[19]) AS DOUBLE) AS total
  FROM extracted
)
SELECT event_id, line, source, order_event_id, profile_id, ordered_at, day, product_id, variant_id, sku, product_name, categories, quantity,
  coalesce(price, total / nullif(quantity, 0)) AS price, coalesce(total, price * quantity) AS amount, currency
FROM typed
