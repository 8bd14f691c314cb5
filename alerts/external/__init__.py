"""Alerts that others find: an existing Prometheus may send here what it would send to its Alertmanager, and its
rules may become rules here."""
