-- description: One row per pair of products that were ordered together, each pair once (product_a < product_b).
--   Orders of more than 50 different products are left out: they say little, and have thousands of pairs.
-- key: product_a, product_b
-- column product_a: The product's id in the shop.
-- column name_a: Its newest name in orders.
-- column product_b: Id of the other product.
-- column name_b: Its newest name in orders.
-- column orders_together: Orders with both.
-- column support: orders_together / orders.
-- column confidence_b_given_a: Share of the orders with a that also have b.
-- column confidence_a_given_b: Share of the orders with b that also have a.
-- column lift: How many times more often they are ordered together than if one had nothing to do with the other.
-- metadata pairs: count(*)
WITH lines AS (
    SELECT coalesce(order_event_id, event_id) AS order_id, product_id, max_by(product_name, ordered_at) AS product_name, max(ordered_at) AS ordered_at
    FROM fct_order_items
    WHERE product_id IS NOT NULL
    GROUP BY coalesce(order_event_id, event_id), product_id
    QUALIFY count(*) OVER (PARTITION BY coalesce(order_event_id, event_id)) <= 50
),
products AS (
    SELECT product_id, max_by(product_name, ordered_at) AS product_name, count(*) AS orders FROM lines GROUP BY product_id
),
total AS (
    SELECT count(DISTINCT order_id) AS orders FROM lines
),
pairs AS (
    SELECT a.product_id AS product_a, b.product_id AS product_b, count(*) AS orders_together
    FROM lines AS a JOIN lines AS b ON b.order_id = a.order_id AND a.product_id < b.product_id
    GROUP BY a.product_id, b.product_id
)
SELECT
    pairs.product_a,
    a.product_name AS name_a,
    pairs.product_b,
    b.product_name AS name_b,
    pairs.orders_together,
    pairs.orders_together / total.orders AS support,
    pairs.orders_together / a.orders AS confidence_b_given_a,
    pairs.orders_together / b.orders AS confidence_a_given_b,
    pairs.orders_together * total.orders / (a.orders * b.orders) AS lift
FROM pairs
CROSS JOIN total
JOIN products AS a ON a.product_id = pairs.product_a
JOIN products AS b ON b.product_id = pairs.product_b
