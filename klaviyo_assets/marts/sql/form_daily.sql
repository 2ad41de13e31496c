-- description: One row per day and form: how often it was viewed, submitted and closed, by Klaviyo's report; empty without form_report_daily.
-- key: day, form_id
-- column day: Day, in the account's time zone.
-- column form_id: Klaviyo's id of the form.
-- column form_name: Name of the form; null if the account no longer has it, or the type forms is not synced.
-- column views: Views of the form, all of its versions together.
-- column submits: Submissions of the form.
-- column closes: Times that the form was closed.
-- column submit_rate: submits / views.
-- metadata submit_rate_of_the_last_30_days: SELECT sum(submits) / nullif(sum(views), 0) FROM form_daily, mart_run WHERE day BETWEEN today - 30 AND today - 1
SELECT
    report.day,
    report.form_id,
    any_value(forms.name) AS form_name,
    sum(report.viewed_form)::BIGINT AS views,
    sum(report.submits)::BIGINT AS submits,
    sum(report.closed_form)::BIGINT AS closes,
    sum(report.submits) / nullif(sum(report.viewed_form), 0) AS submit_rate
FROM form_report_daily AS report
LEFT JOIN forms ON forms.id = report.form_id AND forms._deleted_at IS NULL
WHERE report._deleted_at IS NULL
GROUP BY report.day, report.form_id
