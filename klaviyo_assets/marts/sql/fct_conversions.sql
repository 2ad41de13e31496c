-- description: Orders that Klaviyo attributes to a message, with the send of that message to the person who ordered.
-- key: order_event_id
-- column order_event_id: The order: id of its event.
-- column message_id: Message that Klaviyo credits the order to.
-- column variation_id: Variation of the message that the person received; empty without an A/B test.
-- column flow_id: Flow of the message; null for a message of a campaign.
-- column profile_id: The person who ordered; null if Klaviyo deleted the profile.
-- column sent_at: When the message was last sent to the person before the order; null if no event says so.
-- column month: First day of the month in which it was sent, in the account's time zone; of the order if the send is not known.
-- column ordered_at: When the order was placed.
-- column value: Value of the order, in its currency.
-- column currency: Currency of the order.
WITH attributed AS (
    SELECT
        fct_orders.event_id,
        fct_orders.profile_id,
        fct_orders.ordered_at,
        fct_orders.day,
        fct_orders.value,
        fct_orders.currency,
        fct_orders.attributed_message_id AS message_id,
        fct_orders.attributed_variation_id,
        coalesce(fct_orders.attributed_flow_id, dim_message.flow_id) AS flow_id
    FROM fct_orders LEFT JOIN dim_message ON dim_message.message_id = fct_orders.attributed_message_id
    WHERE fct_orders.attributed_message_id IS NOT NULL
),
sends AS (
    SELECT message_id, profile_id, variation_id, sent_at, NULL::DATE AS month
    FROM fct_message_profile SEMI JOIN attributed USING (message_id, profile_id)
    WHERE fct_message_profile.flow_id IS NULL AND sent_at IS NOT NULL
    UNION ALL
    SELECT message_id, profile_id, variation_id, sent_at, month
    FROM fct_flow_sends SEMI JOIN attributed USING (message_id, profile_id)
    WHERE sent_at IS NOT NULL
)
SELECT
    attributed.event_id AS order_event_id,
    attributed.message_id,
    coalesce(nullif(attributed.attributed_variation_id, ''), sends.variation_id, '') AS variation_id,
    attributed.flow_id,
    attributed.profile_id,
    sends.sent_at,
    coalesce(sends.month, date_trunc('month', attributed.day)::DATE) AS month,
    attributed.ordered_at,
    attributed.value,
    attributed.currency
FROM attributed
ASOF LEFT JOIN sends
    ON sends.message_id = attributed.message_id AND sends.profile_id = attributed.profile_id AND attributed.ordered_at >= sends.sent_at
