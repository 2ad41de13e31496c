"""A local Klaviyo: a real HTTP server with a made-up account that holds to the contract in the catalogue.

For tests, and to try things out without an account. It shares only the catalogue with the rest of the package.

Example:
    >>> with SandboxProcess(SandboxOptions(seed=7, events=1000, limits=False)) as sandbox:
    ...     httpx.get(f"{sandbox.base_url}/api/lists", headers={"Authorization": f"Klaviyo-API-Key {ALL_SCOPES_KEY}", "revision": "2026-07-15"})
"""

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, EIGHT_SCOPES_KEY, PLAN_GATED_KEY, key_lacking, scopes_of
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.process import SandboxProcess

__all__ = [
    "ALL_SCOPES_KEY",
    "EIGHT_SCOPES_KEY",
    "PLAN_GATED_KEY",
    "SandboxOptions",
    "SandboxProcess",
    "key_lacking",
    "scopes_of",
]
