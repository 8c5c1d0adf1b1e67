"""The description of the HTTP API: an OpenAPI 3.1 document, and the page that shows it."""
