"""A local Klaviyo: a real HTTP server with a made-up account that follows the API contract in the catalog.

For tests, and to try things out without an account. It shares only the catalog with the rest of the package.

Example:
    >>> with SandboxProcess(SandboxOptions(seed=7, events=1000, limits=False)) as sandbox:
    ...     headers = {"Authorization": f"Klaviyo-API-Key {sandbox.keys.all_scopes}", "revision": "2026-07-15"}
    ...     httpx.get(f"{sandbox.base_url}/api/lists", headers=headers)
"""

from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, PLAN_GATED_KEY, RECOMMENDED_SCOPES_KEY, Keys, key_lacking, scopes_of
from klaviyo_assets.sandbox.options import SandboxOptions
from klaviyo_assets.sandbox.process import SandboxProcess

__all__ = [
    "ALL_SCOPES_KEY",
    "PLAN_GATED_KEY",
    "RECOMMENDED_SCOPES_KEY",
    "Keys",
    "SandboxOptions",
    "SandboxProcess",
    "key_lacking",
    "scopes_of",
]
