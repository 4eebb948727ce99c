"""Payloads of the APIs as typed records."""
