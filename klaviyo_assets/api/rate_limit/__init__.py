"""Rate limits: how fast requests to one endpoint are sent, and how much of the account's quota is left to other clients.

``limiter`` is the limiter that every request passes. ``pacing`` spaces requests under Klaviyo's windows, ``quota`` follows the minute window,
``headers`` reads ``RateLimit-*``, ``usage`` and ``fair_share`` estimate what other clients use, ``concurrency`` sets how many requests are in
flight.
"""
