-- description: One row per day, inbox provider and domain of the recipient: what happened to the e-mails.
--   Opens, clicks and complaints count on their own day. Rates over a period: divide the sums.
-- key: day, inbox_provider, email_domain
-- incremental: day
-- column day: Day of the events, in the account's time zone.
-- column inbox_provider: Inbox provider that Klaviyo names, such as Gmail; empty if it names none.
-- column email_domain: Domain of the recipient's address; empty if the event has none.
-- column delivered: E-mails delivered.
-- column bounced: E-mails that bounced.
-- column hard_bounced: Those that bounced for good.
-- column soft_bounced: Those that bounced for now.
-- column dropped: E-mails that Klaviyo did not send, for instance to a suppressed address.
-- column opens: Opens by people.
-- column machine_opens: Opens by machines.
-- column machine_open_share: machine_opens / all opens.
-- column clicks: Clicks.
-- column spam_complaints: Complaints about spam.
-- column unsubscribes: Unsubscribes.
-- column bounce_rate: bounced / (delivered + bounced).
-- column spam_complaint_rate: spam_complaints / delivered.
-- metadata bounce_rate_of_the_last_30_days: SELECT sum(bounced) / nullif(sum(delivered + bounced), 0)
--   FROM deliverability_daily, mart_run WHERE day BETWEEN today - 30 AND today - 1
-- metadata spam_complaint_rate_of_the_last_30_days: SELECT sum(spam_complaints) / nullif(sum(delivered), 0)
--   FROM deliverability_daily, mart_run WHERE day BETWEEN today - 30 AND today - 1
WITH counts AS (
    SELECT
        live_events.day,
        coalesce(live_events.inbox_provider, '') AS inbox_provider,
        coalesce(live_events.email_domain, '') AS email_domain,
        count_if(role = 'received') AS delivered,
        count_if(role = 'bounced') AS bounced,
        count_if(role = 'bounced' AND live_events.bounce_type ILIKE 'hard%') AS hard_bounced,
        count_if(role = 'bounced' AND live_events.bounce_type ILIKE 'soft%') AS soft_bounced,
        count_if(role = 'dropped') AS dropped,
        count_if(role = 'opened' AND live_events.machine_open IS NOT TRUE) AS opens,
        count_if(role = 'opened' AND live_events.machine_open IS TRUE) AS machine_opens,
        count_if(role = 'clicked') AS clicks,
        count_if(role = 'spam') AS spam_complaints,
        count_if(role = 'unsubscribed') AS unsubscribes
    FROM live_events JOIN metric_roles ON metric_roles.metric_id = live_events.metric_id
    WHERE metric_roles.channel = 'email'
        AND metric_roles.role IN ('received', 'bounced', 'dropped', 'opened', 'clicked', 'spam', 'unsubscribed')
    GROUP BY ALL
)
SELECT
    day,
    inbox_provider,
    email_domain,
    delivered,
    bounced,
    hard_bounced,
    soft_bounced,
    dropped,
    opens,
    machine_opens,
    machine_opens / nullif(opens + machine_opens, 0) AS machine_open_share,
    clicks,
    spam_complaints,
    unsubscribes,
    bounced / nullif(delivered + bounced, 0) AS bounce_rate,
    spam_complaints / nullif(delivered, 0) AS spam_complaint_rate
FROM counts
