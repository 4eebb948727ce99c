"""What the researcher can look up."""

from __future__ import annotations

_FACTS = {
    "Oslo": "In March it is about 1 C in Oslo, and the skiing tracks are open.",
    "Rome": "In March it is about 12 C in Rome, and the streets are quiet.",
}


def look_up(city: str) -> str:
    """Look up what is known about a city.

    Args:
        city: Its name in English.
    """
    return _FACTS.get(city, f"Nothing is known about {city}.")
