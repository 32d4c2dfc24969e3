"""Endurance: faults are injected into a real Headrace, and what must hold after each is checked."""
