"""Every metric, the health server; rules, dashboards and runbooks lie beside them."""
