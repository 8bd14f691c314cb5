"""REST of the project itself: dashboards, the audit trail, people's tokens, and search."""
