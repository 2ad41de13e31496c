-- description: One row per profile, in the shape of Fivetran's table, for the dbt package dbt_klaviyo. Deleted profiles are here too, and marked.
-- key: id
-- view: fivetran
-- column id: Klaviyo's id of the profile.
-- column email: E-mail address.
-- column phone_number: Phone number.
-- column first_name: First name.
-- column last_name: Last name.
-- column organization: Company or organization that the person works for.
-- column title: Job title.
-- column address_1: First line of the street address.
-- column address_2: Second line of the street address.
-- column city: City.
-- column region: State, province or region.
-- column zip: Postal code.
-- column country: Country.
-- column latitude: Latitude in degrees.
-- column longitude: Longitude in degrees.
-- column timezone: IANA time zone.
-- column last_event_date: Time of the latest event that updated the profile, in UTC.
-- column created: When the profile was created, in UTC.
-- column updated: When the profile was last changed, in UTC.
-- column properties: Custom properties as Klaviyo sent them: what pass-through columns can be made of.
-- column _fivetran_synced: When the row was last read from Klaviyo, in UTC.
-- column _fivetran_deleted: Whether Klaviyo no longer has the profile.

SELECT id, email, phone_number, first_name, last_name, organization, title, location_address1 AS address_1, location_address2 AS address_2,
  location_city AS city, location_region AS region, location_zip AS zip, location_country AS country, location_latitude AS latitude,
  location_longitude AS longitude, location_timezone AS timezone, last_event_date AT TIME ZONE 'UTC' AS last_event_date,
  created AT TIME ZONE 'UTC' AS created, updated AT TIME ZONE 'UTC' AS updated, properties,
  _synced_at AT TIME ZONE 'UTC' AS _fivetran_synced, _deleted_at IS NOT NULL AS _fivetran_deleted
FROM profiles
