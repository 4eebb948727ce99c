"""Conversations that are saved as they go, and come back."""
