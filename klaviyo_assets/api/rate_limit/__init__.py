"""Rate limits: how fast to send requests to an endpoint, and how much of the account's quota to leave to other clients.

Every request passes ``limiter``. ``pacing`` decides when it is sent, from the limit and our share of it; ``shared_limit`` has what several processes
share. ``quota`` tracks what the server says is left of its minute, ``headers`` parses ``RateLimit-*``, ``usage`` and ``fair_share`` estimate the
usage of other clients and what share that leaves, ``concurrency`` sets how many requests are in flight, ``daily`` counts requests with a daily limit.
"""
