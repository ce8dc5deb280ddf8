"""The SQL of master/, one module per concern."""
