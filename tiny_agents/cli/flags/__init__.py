"""Flags of the commands; imports nothing but argparse."""
