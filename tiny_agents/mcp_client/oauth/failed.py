"""`LoginFailed`, for those who only pass it on: what logs in takes 0.5 s to import."""


class LoginFailed(Exception):
    """There is no access, and why: a sentence that continues the server's name and says what to do."""
