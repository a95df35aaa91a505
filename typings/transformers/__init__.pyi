# Everything in transformers is Any to the type checker: reading its thousands of files took most of the time of the check.
from typing import Any

def __getattr__(name: str) -> Any: ...
