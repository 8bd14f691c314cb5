"""The system watches itself: what is measured, within which limits, and where it is kept and shown."""
