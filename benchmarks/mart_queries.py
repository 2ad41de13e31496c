"""Questions of an analyst in three forms: on the JSON of events, on their typed columns, and on the marts."""

from dataclasses import dataclass

_SENT = """('Received Email', 'Opened Email', 'Clicked Email', 'Bounced Email', 'Dropped Email', 'Marked Email as Spam',
'Unsubscribed from Email Marketing',
  'Received SMS', 'Clicked SMS', 'Failed to Deliver SMS', 'Unsubscribed from SMS Marketing')"""
_EVENTS = "events AS e JOIN metrics AS m ON m.id = e.metric_id"
_ORDERS = f"{_EVENTS} WHERE m.name = 'Placed Order' AND e._deleted_at IS NULL"


@dataclass(frozen=True)
class Question:
    """A question and its queries.

    Attributes:
        name: The question.
        goal: How many times less CPU than on JSON it should take.
        json: On the JSON of the properties.
        typed: On typed columns; empty if none help.
        mart: On the facts among the marts, or on the mart that answers it.
        compared: Expression over the rows of each that must be equal.
    """

    name: str
    goal: float
    json: str
    typed: str
    mart: str
    compared: str


def _campaigns(message: str, flow: str, attributed: str, value: str) -> str:
    """The query of a whole campaign table: counts by message, with orders and revenue."""
    return f"""
WITH e AS (
  SELECT m.name AS metric, e.profile_id, {message} AS message_id, {flow} AS flow_id FROM {_EVENTS} WHERE e._deleted_at IS NULL AND m.name IN {_SENT}
), conv AS (
  SELECT {attributed} AS message_id, count(*) AS orders, count(DISTINCT profile_id) AS buyers, sum({value}) AS revenue FROM {_ORDERS} GROUP BY 1
), k AS (
  SELECT message_id, count(*) FILTER (metric LIKE 'Received%') + count(*) FILTER (metric = 'Bounced Email') AS recipients,
    count(*) FILTER (metric LIKE 'Received%') AS delivered, count(*) FILTER (metric = 'Opened Email') AS opens,
    count(DISTINCT profile_id) FILTER (metric = 'Opened Email') AS opens_unique,
      count(DISTINCT profile_id) FILTER (metric LIKE 'Clicked%') AS clicks_unique,
    count(*) FILTER (metric = 'Bounced Email') AS bounced, count(*) FILTER (metric = 'Marked Email as Spam') AS spam,
    count(DISTINCT profile_id) FILTER (metric LIKE 'Unsub%') AS unsubscribes
  FROM e WHERE message_id IS NOT NULL AND flow_id IS NULL GROUP BY message_id
)
SELECT c.channel, c.name, c.send_time, k.* EXCLUDE message_id, opens_unique / delivered AS open_rate, clicks_unique / delivered AS click_rate,
  bounced / recipients AS bounce_rate, spam / delivered AS spam_rate, orders, revenue, buyers / delivered AS conversion_rate,
  revenue / recipients AS revenue_per_recipient
FROM campaigns AS c JOIN k ON list_contains(c.campaign_message_ids, k.message_id) OR c.id = k.message_id LEFT JOIN conv USING (message_id)
WHERE c._deleted_at IS NULL"""


def _open_rates(message: str, machine: str) -> str:
    return f"""
SELECT {message} AS message_id,
  count(DISTINCT profile_id) FILTER (m.name = 'Opened Email' AND {machine}) / count(*) FILTER (m.name = 'Received Email') AS rate
FROM {_EVENTS} WHERE m.name IN ('Received Email', 'Opened Email') AND e._deleted_at IS NULL GROUP BY 1"""


def _revenue(value: str, time: str, rows: str) -> str:
    return f"SELECT date_trunc('month', {time}) AS month, sum({value}) AS revenue FROM {rows} GROUP BY 1"


def _rfm(value: str, time: str, rows: str) -> str:
    """The query of people and value by RFM score. Few rows: their conversion to Python would cost more than the query."""
    score = "SELECT *, ntile(5) OVER (ORDER BY latest, profile_id) AS r, ntile(5) OVER (ORDER BY orders, profile_id) AS f"
    return f"""
SELECT r, f, m, count(*) AS people, sum(orders) AS orders, sum(value) AS value
FROM ({score}, ntile(5) OVER (ORDER BY value, profile_id) AS m
  FROM (SELECT profile_id, max({time}) AS latest, count(*) AS orders, sum({value}) AS value FROM {rows} GROUP BY profile_id))
GROUP BY r, f, m"""


_JSON_VALUE = "try_cast(e.event_properties->>'$.$value' AS DOUBLE)"

QUESTIONS = (
    Question(
        "revenue by month",
        50,
        _revenue(_JSON_VALUE, "e.datetime", _ORDERS),
        _revenue("e.value", "e.datetime", _ORDERS),
        _revenue("value", "ordered_at", "klaviyo_marts.fct_orders"),
        "sum(revenue)::BIGINT",
    ),
    Question(
        "open rate by message",
        4,
        _open_rates("e.event_properties->>'$.$message'", "coalesce(e.event_properties->>'$.machine_open', 'false') <> 'true'"),
        _open_rates("e.message_id", "e.machine_open IS NOT TRUE"),
        """SELECT message_id, count(DISTINCT profile_id) FILTER (human_opens > 0) / sum(delivered) AS rate
        FROM klaviyo_marts.fct_message_profile WHERE channel = 'email' GROUP BY 1""",
        "round(sum(rate), 6)",
    ),
    Question(
        "RFM",
        10,
        _rfm(_JSON_VALUE, "e.datetime", _ORDERS),
        _rfm("e.value", "e.datetime", _ORDERS),
        _rfm("value", "ordered_at", "klaviyo_marts.fct_orders"),
        "(sum(people), sum(orders), sum(value)::BIGINT, sum(r * f * m * people))",
    ),
    Question(
        "best sellers",
        50,
        f"""SELECT item->>'$.ProductName' AS name, sum((item->>'$.Quantity')::DOUBLE) AS sold
        FROM (SELECT unnest(CAST(e.event_properties->'$.Items' AS JSON[])) AS item FROM {_ORDERS}) GROUP BY 1""",
        "",
        "SELECT product_name AS name, sum(quantity) AS sold FROM klaviyo_marts.fct_order_items GROUP BY 1",
        "(count(*), sum(sold)::BIGINT)",
    ),
    Question(
        "all figures of campaigns",
        6,
        _campaigns(
            "e.event_properties->>'$.$message'", "e.event_properties->>'$.$flow'", "e.event_properties->>'$.$attribution.$message'", _JSON_VALUE
        ),
        _campaigns("e.message_id", "e.flow_id", "e.attributed_message_id", "e.value"),
        """SELECT channel, campaign_name, sent_at, sum(delivered) AS delivered, sum(opens + machine_opens) AS opens, sum(conversions) AS orders,
        sum(conversion_value) AS revenue, sum(opens_unique) / sum(delivered) AS open_rate FROM klaviyo_marts.campaign_performance GROUP BY ALL""",
        "(sum(delivered)::BIGINT, sum(opens)::BIGINT, sum(orders)::BIGINT, sum(revenue)::BIGINT)",
    ),
)
