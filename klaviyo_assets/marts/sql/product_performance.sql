-- description: One row per product that was viewed, put into a cart, ordered, refunded or reviewed.
-- key: product_id
-- column product_id: The product's id in the shop (ProductID of the items of orders, external_id in catalog_items); empty if an event has none.
-- column product_name: Its newest name in orders; else in reviews or the catalog.
-- column catalog_item_id: Klaviyo's id of the catalog item; null if catalog_items has none.
-- column orders: Orders with the product.
-- column buyers: People who ordered it.
-- column quantity: Pieces ordered.
-- column currency: The account's currency.
-- column value: Value of the order lines in the account's currency. Other currencies are in value_by_currency.
-- column value_by_currency: Value of the order lines by currency; null without any.
-- column refunded_quantity: Pieces refunded, by the items of refunds.
-- column refund_rate: refunded_quantity / quantity.
-- column views: Views of the product.
-- column viewers: People who viewed it.
-- column carts: Times that it was put into a cart.
-- column cart_people: People who put it into a cart.
-- column cart_rate: cart_people / viewers.
-- column purchase_rate: buyers / viewers.
-- column reviews: Reviews with a rating, of any status.
-- column average_rating: Average number of stars.
-- column first_ordered_at: When it was first ordered.
-- column last_ordered_at: When it was last ordered.
-- metadata products_ordered: count_if(orders > 0)
WITH sold AS (
    SELECT
        coalesce(product_id, '') AS product_id,
        max_by(product_name, ordered_at) AS product_name,
        count(DISTINCT coalesce(order_event_id, event_id)) AS orders,
        count(DISTINCT profile_id) AS buyers,
        sum(quantity) AS quantity,
        min(ordered_at) AS first_ordered_at,
        max(ordered_at) AS last_ordered_at
    FROM fct_order_items
    GROUP BY coalesce(product_id, '')
),
amounts AS (
    SELECT coalesce(product_id, '') AS product_id, currency, round(sum(amount), 4) AS value
    FROM fct_order_items
    GROUP BY coalesce(product_id, ''), currency
),
money AS (
    SELECT
        amounts.product_id,
        sum(amounts.value) FILTER (amounts.currency = mart_run.currency) AS value,
        map_from_entries(list((amounts.currency, amounts.value) ORDER BY amounts.currency) FILTER (amounts.currency IS NOT NULL)) AS value_by_currency
    FROM amounts CROSS JOIN mart_run
    GROUP BY amounts.product_id
),
refund_items AS (
    SELECT unnest(CAST(live_events.event_properties->'$.Items' AS JSON[])) AS item
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE metric_roles.role = 'refunded_sales' AND json_type(live_events.event_properties, '$.Items') = 'ARRAY'
),
refunded AS (
    SELECT coalesce(item->>'$.ProductID', '') AS product_id, sum(coalesce(try_cast(item->>'$.Quantity' AS DOUBLE), 1)) AS refunded_quantity
    FROM refund_items
    GROUP BY coalesce(item->>'$.ProductID', '')
),
interest AS (
    SELECT
        coalesce(live_events.product_id, '') AS product_id,
        count_if(metric_roles.role = 'viewed_product') AS views,
        count(DISTINCT live_events.profile_id) FILTER (metric_roles.role = 'viewed_product') AS viewers,
        count_if(metric_roles.role = 'added_to_cart') AS carts,
        count(DISTINCT live_events.profile_id) FILTER (metric_roles.role = 'added_to_cart') AS cart_people
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE metric_roles.role IN ('viewed_product', 'added_to_cart')
    GROUP BY coalesce(live_events.product_id, '')
),
rated AS (
    SELECT
        coalesce(product_external_id, '') AS product_id,
        max_by(product_name, created) AS product_name,
        count(*) AS reviews,
        avg(rating) AS average_rating
    FROM reviews
    WHERE _deleted_at IS NULL AND rating IS NOT NULL
    GROUP BY coalesce(product_external_id, '')
),
catalog AS (
    SELECT external_id AS product_id, any_value(id) AS catalog_item_id, any_value(title) AS title
    FROM catalog_items
    WHERE _deleted_at IS NULL AND external_id IS NOT NULL
    GROUP BY external_id
),
products AS (
    SELECT product_id FROM sold
    UNION SELECT product_id FROM refunded
    UNION SELECT product_id FROM interest
    UNION SELECT product_id FROM rated
)
SELECT
    products.product_id,
    coalesce(sold.product_name, rated.product_name, catalog.title) AS product_name,
    catalog.catalog_item_id,
    coalesce(sold.orders, 0) AS orders,
    coalesce(sold.buyers, 0) AS buyers,
    coalesce(sold.quantity, 0) AS quantity,
    mart_run.currency,
    coalesce(money.value, 0) AS value,
    money.value_by_currency,
    coalesce(refunded.refunded_quantity, 0) AS refunded_quantity,
    coalesce(refunded.refunded_quantity, 0) / nullif(sold.quantity, 0) AS refund_rate,
    coalesce(interest.views, 0) AS views,
    coalesce(interest.viewers, 0) AS viewers,
    coalesce(interest.carts, 0) AS carts,
    coalesce(interest.cart_people, 0) AS cart_people,
    interest.cart_people / nullif(interest.viewers, 0) AS cart_rate,
    coalesce(sold.buyers, 0) / nullif(interest.viewers, 0) AS purchase_rate,
    coalesce(rated.reviews, 0) AS reviews,
    rated.average_rating,
    sold.first_ordered_at,
    sold.last_ordered_at
FROM products
CROSS JOIN mart_run
LEFT JOIN sold USING (product_id)
LEFT JOIN money USING (product_id)
LEFT JOIN refunded USING (product_id)
LEFT JOIN interest USING (product_id)
LEFT JOIN rated USING (product_id)
LEFT JOIN catalog USING (product_id)
