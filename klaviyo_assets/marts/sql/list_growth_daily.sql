-- description: One row per day and list: how many profiles joined and left it, by the events of the day.
--   Imports and changes through Klaviyo's API may leave no event: audience_size_daily has the members themselves.
-- key: day, list_name
-- column day: Day, in the account's time zone.
-- column list_name: Name of the list, as in the event.
-- column list_id: Klaviyo's id of the list; null if no list, or more than one, has this name.
-- column joined: Profiles that joined.
-- column left_list: Profiles that left.
-- column net: joined - left_list.
-- column net_so_far: Sum of net of this and all earlier days.
-- metadata net_growth_yesterday: SELECT coalesce(sum(net), 0) FROM list_growth_daily, mart_run WHERE day = today - 1
-- metadata net_growth_of_the_last_30_days: SELECT coalesce(sum(net), 0) FROM list_growth_daily, mart_run WHERE day BETWEEN today - 30 AND today - 1
WITH changes AS (
    SELECT
        live_events.day,
        coalesce(live_events.event_properties->>'$.List', '') AS list_name,
        metric_roles.role,
        coalesce(live_events.profile_id, live_events.id) AS member
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE metric_roles.role IN ('subscribed_to_list', 'unsubscribed_from_list')
),
by_day AS (
    SELECT
        day,
        list_name,
        count(DISTINCT member) FILTER (role = 'subscribed_to_list') AS joined,
        count(DISTINCT member) FILTER (role = 'unsubscribed_from_list') AS left_list
    FROM changes
    GROUP BY day, list_name
),
names AS (
    SELECT name, any_value(id) AS list_id FROM lists WHERE _deleted_at IS NULL GROUP BY name HAVING count(*) = 1
)
SELECT
    by_day.day,
    by_day.list_name,
    names.list_id,
    by_day.joined,
    by_day.left_list,
    by_day.joined - by_day.left_list AS net,
    (sum(by_day.joined - by_day.left_list) OVER (PARTITION BY by_day.list_name ORDER BY by_day.day))::BIGINT AS net_so_far
FROM by_day LEFT JOIN names ON names.name = by_day.list_name
