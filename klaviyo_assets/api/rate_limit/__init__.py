"""Rate limits: how fast to send requests to an endpoint, and how much of the account's quota to leave to other clients.

Every request passes ``limiter``. ``pacing`` spaces requests within Klaviyo's windows, ``quota`` tracks the minute window, ``headers`` parses
``RateLimit-*``, ``usage`` and ``fair_share`` estimate the usage of other clients, ``concurrency`` sets how many requests are in flight, ``daily``
keeps the count of limits per day.
"""
