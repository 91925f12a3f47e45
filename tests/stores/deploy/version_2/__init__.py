"""Version 2 of the application."""
