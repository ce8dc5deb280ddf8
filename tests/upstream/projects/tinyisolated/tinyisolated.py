"""Built in an isolated environment, into which pip downloads setuptools."""
