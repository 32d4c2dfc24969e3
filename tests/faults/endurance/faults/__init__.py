"""The faults, by what they break. Each is a function; docs/endurance.md has the table."""
