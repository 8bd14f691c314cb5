"""The Prometheus HTTP API: PromQL over what is stored, for Grafana and whatever else asks in it."""
