"""The servers and processes that one machine runs by itself when no others are named."""
