"""Version 1 of the application."""
