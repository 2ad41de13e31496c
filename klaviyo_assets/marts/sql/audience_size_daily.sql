-- description: One row per day and list or segment: its members at the end of the day.
--   Segments: Klaviyo's own figures (segment_report_daily), if that type is synced; otherwise, like lists, from the stored members and the times at which
--   they joined and were found to have left. Those who left before the first sync are unknown, so earlier days show fewer members than there were.
--   The same holds for a member who left and joined again: Klaviyo has only the latest time of joining, so the earlier membership is not in any day.
-- key: day, kind, id
-- column day: Day, in the account's time zone.
-- column kind: list or segment.
-- column id: Klaviyo's id of the list or segment.
-- column name: Its name.
-- column members: Members at the end of the day.
-- column added: Members that joined on the day.
-- column removed: Members that left on the day.
-- column source: report (Klaviyo's figures) or members (counted from the stored members).
-- metadata list_members: SELECT coalesce(sum(members), 0) FROM audience_size_daily, mart_run WHERE kind = 'list' AND day = today
WITH memberships AS (
    SELECT 'list' AS kind, list_id AS id, joined_group_at, coalesce(removed_at, _deleted_at) AS left_at FROM list_members
    UNION ALL
    SELECT 'segment', segment_id, joined_group_at, coalesce(removed_at, _deleted_at) FROM segment_members
    WHERE segment_id NOT IN (SELECT segment_id FROM segment_report_daily WHERE _deleted_at IS NULL)
),
changes AS (
    SELECT memberships.kind, memberships.id, (memberships.joined_group_at AT TIME ZONE mart_run.timezone)::DATE AS day, 1 AS added, 0 AS removed
    FROM memberships CROSS JOIN mart_run
    WHERE memberships.joined_group_at <= mart_run.now
    UNION ALL
    SELECT memberships.kind, memberships.id, (memberships.left_at AT TIME ZONE mart_run.timezone)::DATE, 0, 1
    FROM memberships CROSS JOIN mart_run
    WHERE memberships.left_at <= mart_run.now AND memberships.joined_group_at <= mart_run.now
),
by_day AS (
    SELECT kind, id, day, sum(added) AS added, sum(removed) AS removed FROM changes GROUP BY kind, id, day
),
grid AS (
    SELECT by_day.kind, by_day.id, unnest(generate_series(min(by_day.day), any_value(mart_run.today), INTERVAL 1 DAY))::DATE AS day
    FROM by_day CROSS JOIN mart_run
    GROUP BY by_day.kind, by_day.id
),
counted AS (
    SELECT
        grid.day,
        grid.kind,
        grid.id,
        sum(coalesce(by_day.added, 0) - coalesce(by_day.removed, 0)) OVER (PARTITION BY grid.kind, grid.id ORDER BY grid.day) AS members,
        coalesce(by_day.added, 0) AS added,
        coalesce(by_day.removed, 0) AS removed,
        'members' AS source
    FROM grid LEFT JOIN by_day ON by_day.kind = grid.kind AND by_day.id = grid.id AND by_day.day = grid.day
    UNION ALL
    SELECT day, 'segment', segment_id, total_members, members_added, members_removed, 'report'
    FROM segment_report_daily
    WHERE _deleted_at IS NULL
),
names AS (
    SELECT 'list' AS kind, id, name FROM lists
    UNION ALL
    SELECT 'segment', id, name FROM segments
)
SELECT
    counted.day,
    counted.kind,
    counted.id,
    names.name,
    counted.members::BIGINT AS members,
    counted.added::BIGINT AS added,
    counted.removed::BIGINT AS removed,
    counted.source
FROM counted LEFT JOIN names ON names.kind = counted.kind AND names.id = counted.id
