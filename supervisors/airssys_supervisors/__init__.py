"""Decisions about failure. Pure: events and the time go in, effects come out."""
