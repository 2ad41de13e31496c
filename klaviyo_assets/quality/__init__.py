"""Data quality: drift from the catalog (``drift``), columns that lost values (``null_rates``), queries for checks and previews (``inspector``)."""
