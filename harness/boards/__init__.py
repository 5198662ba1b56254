"""Boards: rankings over part of a store."""
