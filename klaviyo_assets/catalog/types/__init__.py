"""One module per resource type; ``catalog/discovery.py`` finds them all.

``catalog/resource_type.py`` explains the fields. To copy: ``templates`` is read by time windows, ``segments`` completely, ``list_members`` is a
child type, ``campaign_messages`` comes in the responses of another type, ``form_report_daily`` is a report.
"""
