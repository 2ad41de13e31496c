-- description: One row per profile: where the person is, how the profile came to be, and which messages it may get. No address, number or name:
--   those are in the table profiles, by profile_id.
-- key: profile_id
-- column profile_id: Klaviyo's id of the profile.
-- column created_at: When the profile was created.
-- column created_day: That day, in the account's time zone.
-- column last_event_at: Time of the latest event that updated the profile.
-- column country: Country of its location.
-- column region: State, province or region.
-- column city: City.
-- column timezone: IANA time zone of the person.
-- column locale: Language tag, such as en-US.
-- column source: Where the profile came from ($source of its properties), a number that Klaviyo does not document; null if none is stored.
-- column email_consent: Consent to e-mail marketing, such as SUBSCRIBED.
-- column email_consent_method: How the profile subscribed to e-mail marketing, such as FORM.
-- column email_consent_at: When that consent was given or last changed.
-- column email_double_optin: Whether it did so with a double opt-in.
-- column can_receive_email: Whether it can receive e-mail marketing.
-- column email_suppression_reason: Why e-mail to it is suppressed, such as HARD_BOUNCE; null if it is not.
-- column email_suppressed_at: When e-mail to it was suppressed.
-- column sms_consent: Consent to SMS marketing.
-- column sms_consent_at: When that consent was given or last changed.
-- column can_receive_sms: Whether it can receive SMS marketing.
-- column push_consent: Consent to mobile push marketing.
-- column can_receive_push: Whether it can receive mobile push marketing.
-- column whatsapp_consent: Consent to WhatsApp marketing.
-- column can_receive_whatsapp: Whether it can receive WhatsApp marketing.
-- column predicted_clv: Klaviyo's prediction of the value of the orders in the next 365 days, in the account's currency; null without
--   predictive_analytics.
-- column total_clv: Value of all orders so far plus that prediction.
-- column churn_probability: Klaviyo's probability, from 0 to 1, that the person will not order again.
-- column expected_next_order_at: When Klaviyo expects the next order.
-- metadata profiles: count(*)
-- metadata can_receive_email: count_if(can_receive_email)
-- metadata can_receive_sms: count_if(can_receive_sms)

SELECT p.id AS profile_id, p.created AS created_at, (p.created AT TIME ZONE r.timezone)::DATE AS created_day, p.last_event_date AS last_event_at,
  p.location_country AS country, p.location_region AS region, p.location_city AS city, p.location_timezone AS timezone, p.locale,
  p.properties->>'$."$source"' AS source,
  p.email_marketing_consent AS email_consent, p.email_marketing_consent_method AS email_consent_method,
  p.email_marketing_consent_timestamp AS email_consent_at, p.email_marketing_double_optin AS email_double_optin,
  p.can_receive_email_marketing AS can_receive_email, p.email_suppression_reason, p.email_suppressed_at,
  p.sms_marketing_consent AS sms_consent, p.sms_marketing_consent_timestamp AS sms_consent_at, p.can_receive_sms_marketing AS can_receive_sms,
  p.push_marketing_consent AS push_consent, p.can_receive_push_marketing AS can_receive_push,
  p.whatsapp_marketing_consent AS whatsapp_consent, p.can_receive_whatsapp_marketing AS can_receive_whatsapp,
  a.predicted_clv, a.total_clv, a.churn_probability, a.expected_date_of_next_order AS expected_next_order_at
FROM profiles AS p CROSS JOIN mart_run AS r
LEFT JOIN predictive_analytics AS a ON a.profile_id = p.id AND a._deleted_at IS NULL
WHERE p._deleted_at IS NULL
