"""Push tokens: the devices that can receive push messages, one row per token."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_one
from klaviyo_assets.catalog.endpoint import EQUALS, TIER_M, Endpoint, Include, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

PUSH_TOKENS = ResourceType(
    name="push_tokens",
    jsonapi_type="push-token",
    description="One row per push token: a device with the account's app, which can receive push messages. A profile can have several.",
    scope="push-tokens:read",
    more_scopes=("profiles:read",),
    docs_url="https://developers.klaviyo.com/en/reference/get_push_tokens",
    endpoint=Endpoint(
        path="/api/push-tokens",
        limit=TIER_M,
        lookup_limit=TIER_M,
        page_size=PageSize(default=20, maximum=100),
        filters={"id": EQUALS, "profile.id": EQUALS, "enablement_status": EQUALS, "platform": EQUALS},
        includes=("profile",),
    ),
    columns=(
        record_id("Klaviyo's id of the token."),
        to_one("profile", "The profile that the device belongs to."),
        attribute("created", ColumnType.TIMESTAMP, "When the token was created.", required=True),
        attribute("token", ColumnType.STRING, "The token, by which Apple or Google identify the app on the device.", personal=True, required=True),
        attribute(
            "enablement_status",
            ColumnType.STRING,
            "Whether the person allows push messages on the device.",
            required=True,
            values=("AUTHORIZED", "DENIED", "NOT_DETERMINED", "PROVISIONAL", "UNAUTHORIZED"),
        ),
        attribute("platform", ColumnType.STRING, "Operating system of the device.", required=True, values=("android", "ios")),
        attribute("vendor", ColumnType.STRING, "Service that delivers the messages: APNs (Apple) or FCM (Google).", required=True),
        attribute("background", ColumnType.STRING, "Whether the app may refresh in the background, such as AVAILABLE.", required=True),
        attribute("recorded_date", ColumnType.STRING, "Date on which Klaviyo recorded the token, as Klaviyo sent it.", required=True),
        attribute("metadata.device_id", ColumnType.STRING, "Id of the device; another one after the app is installed again.", personal=True),
        attribute(
            "metadata.klaviyo_sdk",
            ColumnType.STRING,
            "Klaviyo's library in the app.",
            values=("android", "flutter", "flutter_community", "react_native", "swift"),
        ),
        attribute("metadata.sdk_version", ColumnType.STRING, "Version of that library."),
        attribute("metadata.device_model", ColumnType.STRING, "Model of the device, such as iPhone12,1."),
        attribute(
            "metadata.os_name",
            ColumnType.STRING,
            "Operating system, more precisely than platform.",
            values=("android", "ios", "ipados", "macos", "tvos"),
        ),
        attribute("metadata.os_version", ColumnType.STRING, "Version of the operating system."),
        attribute("metadata.manufacturer", ColumnType.STRING, "Manufacturer of the device."),
        attribute("metadata.app_name", ColumnType.STRING, "Name of the app."),
        attribute("metadata.app_version", ColumnType.STRING, "Version of the app."),
        attribute("metadata.app_build", ColumnType.STRING, "Build of the app."),
        attribute("metadata.app_id", ColumnType.STRING, "Id of the app, such as com.example.app."),
        attribute(
            "metadata.environment", ColumnType.STRING, "Whether the app is a released one or one under development.", values=("debug", "release")
        ),
    ),
    # The endpoint has neither a time filter nor a sort.
    replication=FullTable(),
    # Klaviyo promises the id of the profile only if the profile is included.
    requested_includes=(Include("profile", fields={"profile": ("id",)}),),
    subject_column="profile_id",
    opt_in=True,
    group="audiences",
)
