"""Accounts: the account that the key belongs to, one row."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import TIER_XS, Endpoint
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

ACCOUNTS = ResourceType(
    name="accounts",
    jsonapi_type="account",
    description="The Klaviyo account that the API key belongs to: one row.",
    scope="accounts:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_accounts",
    endpoint=Endpoint(path="/api/accounts", limit=TIER_XS, lookup_limit=TIER_XS, unpaged=True),
    columns=(
        record_id("Klaviyo's id of the account."),
        attribute("test_account", ColumnType.BOOLEAN, "Whether it is a test account.", required=True),
        attribute("contact_information.default_sender_name", ColumnType.STRING, "Default sender name of new messages.", required=True),
        attribute(
            "contact_information.default_sender_email",
            ColumnType.STRING,
            "Default sender address of new messages.",
            personal=True,
            required=True,
        ),
        attribute("contact_information.website_url", ColumnType.STRING, "Website of the organization."),
        attribute("contact_information.organization_name", ColumnType.STRING, "Name of the organization.", required=True),
        attribute("contact_information.street_address.address1", ColumnType.STRING, "First line of the street address."),
        attribute("contact_information.street_address.address2", ColumnType.STRING, "Second line of the street address."),
        attribute("contact_information.street_address.city", ColumnType.STRING, "City."),
        attribute("contact_information.street_address.region", ColumnType.STRING, "State, province or region."),
        attribute("contact_information.street_address.country", ColumnType.STRING, "Country name, such as Denmark."),
        attribute("contact_information.street_address.zip", ColumnType.STRING, "Postal code."),
        attribute("industry", ColumnType.STRING, "Industry of the business."),
        attribute("timezone", ColumnType.STRING, "IANA time zone in which Klaviyo shows dates.", required=True),
        attribute("preferred_currency", ColumnType.STRING, "Currency of the account's monetary metrics.", required=True),
        attribute("public_api_key", ColumnType.STRING, "Public API key (site id), six characters; not a secret.", required=True),
        attribute("locale", ColumnType.STRING, "Language and region of the account, such as en-US.", required=True),
    ),
    replication=FullTable(),
    recommended_scope=False,
    identifies_account=True,
    single_record=True,
    read_in_seconds=True,
)
