"""The demo's data: small in content, real in every public format."""
