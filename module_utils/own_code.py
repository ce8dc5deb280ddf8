"""Where a module imports the farm's own code: what is missing is told when the module runs."""

from __future__ import annotations


class OwnCode:
    """A context manager that keeps an ImportError for later, when the module can fail in words."""

    missing: ImportError | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: object, _traceback: object) -> bool:
        if not isinstance(error, ImportError):
            return False
        self.missing = error
        return True
