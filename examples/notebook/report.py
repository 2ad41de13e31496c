"""A report on the marts, as a marimo notebook: `marimo edit report.py` to change it, `marimo run report.py` to read it."""

import marimo

app = marimo.App(width="medium", app_title="Klaviyo report")


@app.cell
def _():
    import os

    import altair as alt
    import duckdb
    import marimo as mo

    path = os.environ.get("KLAVIYO_PUBLISH_PATH", "data/published.duckdb")
    connection = duckdb.connect(path, read_only=True)
    _ = connection.execute("USE klaviyo_marts")
    return alt, connection, mo


@app.cell
def _(connection, mo):
    until = connection.execute("SELECT min(complete_until) FROM klaviyo._published").fetchall()[0]
    mo.md(f"# Klaviyo\n\nComplete until {until[0]:%d %B %Y, %H:%M %Z}.")
    return


@app.cell
def _(alt, connection, mo):
    revenue = connection.sql(
        """
        SELECT date_trunc('week', day) AS week, channel, currency, sum(revenue)::DOUBLE AS revenue
        FROM (
            SELECT day, currency, email_revenue AS email, sms_revenue AS sms, push_revenue AS push,
                revenue - attributed_revenue AS "not attributed"
            FROM account_daily WHERE day >= current_date - 180
        ) UNPIVOT (revenue FOR channel IN (email, sms, push, "not attributed"))
        GROUP BY ALL ORDER BY ALL
        """
    ).pl()
    mo.vstack(
        [
            mo.md("## Revenue by week, and the channel that Klaviyo gives the credit"),
            alt.Chart(revenue)
            .mark_bar()
            .encode(
                x="week:T",
                y=alt.Y("revenue:Q", title="revenue"),
                color=alt.Color("channel:N", legend=alt.Legend(orient="bottom", title=None)),
                row=alt.Row("currency:N", title=None),
            )
            .properties(width=520, height=160),
        ]
    )
    return


@app.cell
def _(connection, mo):
    campaigns = connection.sql(
        """
        SELECT campaign_name AS campaign, channel, sent_on AS sent, delivered, round(100 * open_rate, 1) AS "opened %",
            round(100 * click_rate, 1) AS "clicked %", conversions AS orders, round(conversion_value, 2) AS revenue, currency
        FROM campaign_performance WHERE delivered > 0 ORDER BY conversion_value DESC NULLS LAST LIMIT 20
        """
    ).pl()
    mo.vstack(
        [
            mo.md("## Campaigns with the most revenue"),
            mo.ui.table(campaigns, selection=None, show_column_summaries=False, show_data_types=False, page_size=20),
        ]
    )
    return


@app.cell
def _(alt, connection, mo):
    growth = connection.sql(
        """
        SELECT date_trunc('week', day) AS week, list_name AS list, sum(net)::BIGINT AS net
        FROM list_growth_daily WHERE day >= current_date - 180 AND list_name <> '' GROUP BY ALL ORDER BY ALL
        """
    ).pl()
    largest = growth.group_by("list").sum().sort("net", descending=True).head(5)["list"]
    mo.vstack(
        [
            mo.md("## Net growth of the lists that grow most"),
            alt.Chart(growth.filter(growth["list"].is_in(largest.implode())))
            .mark_line(interpolate="step-after")
            .encode(x="week:T", y="net:Q", color=alt.Color("list:N", legend=alt.Legend(orient="bottom", title=None)))
            .properties(width=600, height=200),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
