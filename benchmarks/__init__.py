"""What things cost, measured side by side. Nothing here is installed with the package."""
