"""What keeps people from being told: windows, silences, dependencies. It stops telling, never monitoring or resolving.

`standing` answers it for an evaluation; whether something holds at a moment is derived from timestamps, never stored.
"""
