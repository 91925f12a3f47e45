"""Dashboard and JSON API of a scheduler, as an ASGI app; needs the extra `dashboard`."""
