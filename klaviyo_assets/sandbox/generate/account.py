"""Makes the one account."""

from typing import Any

from klaviyo_assets.catalog import ACCOUNTS
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.records import Record, build


def make_account(context: GenerationContext) -> Record:
    """Make the account; its id is also its public API key."""
    id = context.ids.short()
    attributes: dict[str, Any] = {
        "test_account": True,
        "contact_information": {
            "default_sender_name": "Sandbox Café",
            "default_sender_email": "hello@shop.example",
            "website_url": "https://shop.example",
            "organization_name": "Sandbox Café GmbH",
            "street_address": {
                "address1": "Prüfstraße 1",
                "address2": None,
                "city": "Berlin",
                "region": "Berlin",
                "country": "Germany",
                "zip": "10115",
            },
        },
        "industry": "Ecommerce, Food & Drink",
        "timezone": "Europe/Berlin",
        "preferred_currency": "EUR",
        "public_api_key": id,
        "locale": "en-US",
    }
    return build(ACCOUNTS, id, attributes)
